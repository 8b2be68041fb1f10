"""Tokens for teammates: each is a service account of its own, so that deleting the account revokes the token.

The account, and the RoleBinding that it owns, are in the namespace that the token is for. The cluster stores no token:
what is issued exists only in the hands of its receiver.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from controller.kube import (
    ROLE_BINDINGS,
    ApiError,
    ForbiddenError,
    KubeClient,
    KubeError,
    NotFoundError,
    Resource,
    connect,
    read_cluster,
)
from controller.kube.resources import NAMESPACES, SERVICE_ACCOUNTS
from kind.errors import KindError
from kind.kustomize import SYSTEM_NAMESPACE

__all__ = [
    "IssuedToken",
    "KubeClient",
    "Role",
    "TeamToken",
    "build_kubeconfig",
    "create",
    "list_tokens",
    "open_cluster",
    "revoke",
]

Json = dict[str, Any]
Role = Literal["viewer", "developer"]

ROLES: tuple[Role, ...] = get_args(Role)
MIN_LIFETIME = timedelta(minutes=10)
"""What Kubernetes allows."""
MAX_LIFETIME = timedelta(days=30)
ROLE_LABEL = "c8s.dev/token-role"
_EXPIRES = "c8s.dev/token-expires"
_HOLDER = "c8s.dev/token-holder"
_NAMES = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
_PROTECTED = ("kube-system", "kube-public", "kube-node-lease", SYSTEM_NAMESPACE)
"""Where `pods/exec` would give access to the cluster or to the controller."""
_ADVICE = "Use a kubeconfig context that may create service accounts and role bindings in the namespace."


@dataclass(frozen=True)
class TeamToken:
    """A token that was issued, without the token itself. `expires` is None if the account does not tell it."""

    name: str
    namespace: str
    role: str
    holder: str
    created: datetime | None
    expires: datetime | None

    def has_expired(self, now: datetime) -> bool:
        return self.expires is not None and self.expires <= now


@dataclass(frozen=True)
class IssuedToken:
    """A new token and the account that it belongs to."""

    account: TeamToken
    token: str = field(repr=False)


@asynccontextmanager
async def open_cluster(kubeconfig: Path, context: str | None) -> AsyncIterator[KubeClient]:
    """A client of the cluster of a kubeconfig's context. Raises KindError."""
    try:
        async with connect(kubeconfig, context) as client:
            yield client
    except KubeError as error:
        raise KindError(f"the cluster can't be used: {error}", f"See the kubeconfig {kubeconfig}.") from error


def build_kubeconfig(kubeconfig: Path, context: str | None, name: str, issued: IssuedToken) -> str:
    """A kubeconfig with the cluster of another one, without its credentials, and a token. It is JSON, which is YAML.

    Args:
        name: what its context is called.

    Raises:
        KindError: the other kubeconfig can't be read.
    """
    try:
        cluster = read_cluster(kubeconfig, context)
    except KubeError as error:
        raise KindError(f"the cluster can't be used: {error}", f"See the kubeconfig {kubeconfig}.") from error
    account = issued.account
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": account.name, "user": {"token": issued.token}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": account.name, "namespace": account.namespace}}
        ],
        "current-context": name,
    }
    return json.dumps(document, indent=1) + "\n"


async def create(
    client: KubeClient, role: Role, namespace: str, lifetime: timedelta, now: datetime, holder: str = ""
) -> IssuedToken:
    """Issue a token with the rights of a role in one namespace. If that fails, nothing is left.

    Args:
        lifetime: how long it is valid, 10 minutes to 30 days; a cluster may shorten it.
        holder: who it is for: lower-case letters, digits and dashes. It becomes a part of the account's name.

    Raises:
        KindError: the arguments are out of range, or the cluster refuses; with a remedy.
    """
    _check(role, namespace, lifetime, holder)
    cluster_role = f"c8s-{role}"
    name = f"c8s-{holder or role}-{secrets.token_hex(3)}"
    try:
        await _require(client, cluster_role, namespace)
        account = await client.create(SERVICE_ACCOUNTS, _account(name, role, holder, now + lifetime), namespace)
        try:
            await client.create(ROLE_BINDINGS, _binding(account, cluster_role), namespace)
            seconds = int(lifetime.total_seconds())
            status = await client.request_token(name, namespace, expiration_seconds=seconds)
            expires = datetime.fromisoformat(str(status["expirationTimestamp"]))
            if abs(expires - now - lifetime) > timedelta(seconds=5):
                # Only then: the clocks of the two machines differ a little.
                account = await client.patch(
                    SERVICE_ACCOUNTS, name, {"metadata": {"annotations": {_EXPIRES: _stamp(expires)}}},
                    namespace=namespace,
                )  # fmt: skip
        except BaseException:
            # Also after Ctrl-C: an account that nobody has the token of would stay for good.
            await asyncio.shield(_delete(client, account))
            raise
    except KubeError as error:
        raise KindError(f"the token could not be issued: {error}", _ADVICE) from error
    return IssuedToken(_decode(account), str(status["token"]))


async def list_tokens(client: KubeClient, namespace: str | None) -> list[TeamToken]:
    """The tokens of a namespace, or of all with None, ordered by namespace and name. Raises KindError."""
    try:
        found = await client.list(SERVICE_ACCOUNTS, namespace, label_selector=ROLE_LABEL)
    except KubeError as error:
        raise KindError(f"the tokens can't be listed: {error}", _ADVICE) from error
    tokens = (_decode(each) for each in found["items"])
    return sorted(tokens, key=lambda token: (token.namespace, token.name))


async def revoke(client: KubeClient, namespace: str, name: str) -> None:
    """Delete the account of a token: from then on, Kubernetes refuses the token.

    Raises:
        KindError: there is no such token, or the cluster refuses. Accounts that are not of tokens are left alone.
    """
    try:
        account = await client.get(SERVICE_ACCOUNTS, name, namespace)
        if ROLE_LABEL not in (account["metadata"].get("labels") or {}):
            raise KindError(f"the service account {name} in {namespace} is not one of a token", "It was left alone.")
        await _delete(client, account)
    except NotFoundError as error:
        what = f"there is no token {name} in the namespace {namespace}"
        raise KindError(what, "`c8s token list --all-namespaces` shows the tokens.") from error
    except KubeError as error:
        raise KindError(f"the token {name} could not be revoked: {error}", _ADVICE) from error


def _check(role: str, namespace: str, lifetime: timedelta, holder: str) -> None:
    if not MIN_LIFETIME <= lifetime <= MAX_LIFETIME:
        raise KindError("a token is valid for 10 minutes to 30 days", "Give --ttl such a duration, as 8h or 2d.")
    if holder and not _NAMES.fullmatch(holder):
        advice = "Use up to 40 lower-case letters, digits and dashes."
        raise KindError(f"{holder!r} can't be a part of a service account's name", advice)
    if namespace in _PROTECTED and role == "developer":
        what = f"a developer in {namespace} could open a shell in the controller or the cluster's own pods"
        raise KindError(what, "Choose the namespace of a team.")


async def _require(client: KubeClient, cluster_role: str, namespace: str) -> None:
    """Raises KindError when the namespace does not exist, or the controller is from before these roles."""
    try:
        await client.get(NAMESPACES, namespace)
    except NotFoundError as error:
        raise KindError(
            f"there is no namespace {namespace}", f"Create it with `kubectl create namespace {namespace}`."
        ) from error
    except ForbiddenError:
        pass  # Whoever administers one namespace only may still issue tokens for it.
    try:
        await client.get(_CLUSTER_ROLES, cluster_role)
    except NotFoundError as error:
        what = f"the cluster has no ClusterRole {cluster_role}"
        raise KindError(what, "Update the controller with `c8s install`, or restart the sandbox.") from error
    except ForbiddenError:
        pass  # The binding says whether it may be granted.


def _account(name: str, role: Role, holder: str, expires: datetime) -> Json:
    return {
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "c8s", ROLE_LABEL: role},
            "annotations": {_EXPIRES: _stamp(expires), _HOLDER: holder},
        },
        # For requests from elsewhere, not for pods.
        "automountServiceAccountToken": False,
    }


def _binding(account: Json, cluster_role: str) -> Json:
    name, namespace, uid = (account["metadata"][key] for key in ("name", "namespace", "uid"))
    return {
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "c8s"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "ServiceAccount", "name": name, "uid": uid}],
        },
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }


async def _delete(client: KubeClient, account: Json) -> None:
    """Delete an account; its binding goes with it, as the garbage collector sees to."""
    metadata = account["metadata"]
    try:
        await client.delete(SERVICE_ACCOUNTS, metadata["name"], namespace=metadata["namespace"], uid=metadata["uid"])
    except NotFoundError:
        pass
    except ApiError as error:
        if error.status != 409:  # another account of this name by now
            raise


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _decode(account: Json) -> TeamToken:
    metadata = account["metadata"]
    annotations = metadata.get("annotations") or {}
    return TeamToken(
        name=str(metadata["name"]),
        namespace=str(metadata["namespace"]),
        role=str((metadata.get("labels") or {}).get(ROLE_LABEL) or ""),
        holder=str(annotations.get(_HOLDER) or ""),
        created=_moment(metadata.get("creationTimestamp")),
        expires=_moment(annotations.get(_EXPIRES)),
    )
