"""Applies objects through the Kubernetes API, without kubectl, and waits for their Deployments."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from controller.kube import (
    PODS,
    SECRETS,
    AlreadyExistsError,
    ApiError,
    KubeClient,
    KubeError,
    NotFoundError,
    Resource,
    UnreachableError,
)
from controller.kube.resources import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from controller.provenance import derive_webhook_key
from kind.errors import KindError, ManifestError, NotReadyError
from kind.kustomize import (
    AUTH_PROXY_KEY,
    AUTH_PROXY_SECRET,
    KEY_SECRET,
    SYSTEM_NAMESPACE,
    WEBHOOK_KEY_SECRET,
    build_secret,
)
from kind.plan import ProgressCallback

Json = dict[str, Any]
Sleep = Callable[[float], Awaitable[None]]

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
_RBAC = "rbac.authorization.k8s.io"
_KINDS = {
    each.kind: each
    for each in (
        NAMESPACES,
        SERVICE_ACCOUNTS,
        CONFIG_MAPS,
        SECRETS,
        DEPLOYMENTS,
        CRDS,
        Resource("", "v1", "services", "Service"),
        Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
        Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
        Resource(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
        Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
        Resource(_RBAC, "v1", "roles", "Role"),
        Resource(_RBAC, "v1", "rolebindings", "RoleBinding"),
    )
}
_POLL_INTERVAL = 0.5
_FATAL_REASONS = {"InvalidImageName", "ErrImageNeverPull", "ImagePullBackOff", "CreateContainerError"}
_APPLY_TIMEOUT = 30.0


async def wait_for_api(client: KubeClient, *, timeout: float, sleep: Sleep = asyncio.sleep) -> str:
    """Wait until the API server responds; its version. Raises NotReadyError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return str((await client.version()).get("gitVersion", ""))
        except KubeError as error:
            if time.monotonic() > deadline:
                raise NotReadyError(
                    f"the Kubernetes API does not respond after {timeout:.0f} s: {error}",
                    "See `docker logs` of its node; `c8s down --delete` and `c8s up --kind` create it again.",
                ) from error
        await sleep(_POLL_INTERVAL)


async def apply(client: KubeClient, objects: Iterable[Json], *, sleep: Sleep = asyncio.sleep) -> int:
    """Apply the objects in this order; their number. Raises KindError with the object that was rejected."""
    count = 0
    for each in objects:
        resource = _KINDS.get(each["kind"])
        if resource is None:
            raise ManifestError(f"objects of the kind {each['kind']} are not supported", "Use `kubectl apply`.")
        await _apply_one(client, resource, each, sleep)
        count += 1
    return count


async def _apply_one(client: KubeClient, resource: Resource, obj: Json, sleep: Sleep) -> None:
    metadata = obj["metadata"]
    deadline = time.monotonic() + _APPLY_TIMEOUT
    while True:
        try:
            namespace = metadata.get("namespace")
            await client.patch(resource, metadata["name"], obj, namespace=namespace, patch_type="apply")
            return
        except (ApiError, UnreachableError) as error:
            # A cluster that has just started is overloaded, or does not serve yet what was applied before.
            transient = isinstance(error, (UnreachableError, NotFoundError)) or error.status in (429, 500, 503, 504)
            if not transient or time.monotonic() > deadline:
                what = f"{obj['kind']} {metadata['name']}"
                raise KindError(
                    f"{what} could not be applied: {error}", "Check that you have the permission to change the cluster."
                ) from error
        await sleep(_POLL_INTERVAL)


async def ensure_secret(client: KubeClient, obj: Json) -> Json:
    """The existing Secret of this name, otherwise create it. Existing keys are kept, because pods use them."""
    name = obj["metadata"]["name"]
    try:
        try:
            return await client.get(SECRETS, name, SYSTEM_NAMESPACE)
        except NotFoundError:
            return await client.create(SECRETS, obj, SYSTEM_NAMESPACE)
    except AlreadyExistsError:
        return await client.get(SECRETS, name, SYSTEM_NAMESPACE)
    except KubeError as error:
        raise KindError(
            f"the Secret {name} could not be created: {error}",
            "Check that you have the permission to change the cluster.",
        ) from error


async def ensure_keys(client: KubeClient) -> None:
    """The Secrets with the controller's key and with the receiver's, which is derived from it. Raises KindError."""
    key = await ensure_secret(client, build_secret(KEY_SECRET, {"agent.key": secrets.token_urlsafe(32)}))
    derived = derive_webhook_key(base64.b64decode(key["data"]["agent.key"])).decode()
    await ensure_secret(client, build_secret(WEBHOOK_KEY_SECRET, {"webhook.key": derived}))


async def ensure_auth_proxy_secret(client: KubeClient) -> None:
    """The Secret that a proxy in front of the dashboard proves itself with. Raises KindError."""
    await ensure_secret(client, build_secret(AUTH_PROXY_SECRET, {AUTH_PROXY_KEY: secrets.token_urlsafe(32)}))


async def wait_for_rollout(
    client: KubeClient, names: Sequence[str], *, timeout: float, report: ProgressCallback, sleep: Sleep = asyncio.sleep
) -> None:
    """Wait until the Deployments are rolled out. Raises NotReadyError, at once if waiting can't help."""
    deadline = time.monotonic() + timeout
    reported = ""
    while True:
        reason = await _first_pending(client, names)
        if reason is None:
            return
        if reason != reported:
            report(reason)
            reported = reason
        if time.monotonic() > deadline:
            raise NotReadyError(
                f"{reason}, after {timeout:.0f} s",
                f"See `kubectl -n {SYSTEM_NAMESPACE} describe pods` and `kubectl -n {SYSTEM_NAMESPACE} logs`.",
            )
        await sleep(_POLL_INTERVAL)


async def _first_pending(client: KubeClient, names: Sequence[str]) -> str | None:
    """Why the first Deployment that is not ready waits, None if all are. An unreachable cluster is a reason too."""
    for name in names:
        try:
            deployment = await client.get(DEPLOYMENTS, name, SYSTEM_NAMESPACE)
            if is_rolled_out(deployment):
                continue
            pods = await client.list(PODS, SYSTEM_NAMESPACE, label_selector=f"app.kubernetes.io/name={name}")
        except UnreachableError as error:
            return f"{name}: {error}"
        return pending_reason(name, pods["items"])
    return None


def is_rolled_out(deployment: Json) -> bool:
    """Whether all replicas are up to date and available."""
    replicas, status = deployment["spec"].get("replicas", 1), deployment.get("status") or {}
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    current = status.get("updatedReplicas", 0) == replicas == status.get("replicas", 0)
    return bool(observed and current and status.get("availableReplicas", 0) >= replicas)


def pending_reason(name: str, pods: Sequence[Json]) -> str:
    """What a Deployment waits for, as a sentence. Raises NotReadyError if waiting can't help."""
    for pod in pods:
        status = pod.get("status") or {}
        for condition in status.get("conditions") or ():
            if condition.get("reason") == "Unschedulable":
                return f"{name} can't be scheduled: {condition.get('message')}"
        for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            waiting = (container.get("state") or {}).get("waiting") or {}
            reason, message = waiting.get("reason"), waiting.get("message") or ""
            if reason in _FATAL_REASONS:
                remedy = f"Make the image {container.get('image')} available to the nodes, or name another."
                raise NotReadyError(f"{name}: {reason}: {message}"[:500], remedy)
            if reason == "CrashLoopBackOff" and container.get("restartCount", 0) > 3:
                target = f"{pod['metadata']['name']} -c {container['name']}"
                remedy = f"`kubectl -n {SYSTEM_NAMESPACE} logs {target} --previous` has the reason."
                raise NotReadyError(f"{name} keeps crashing: {message}"[:500], remedy)
            if reason and reason not in ("ContainerCreating", "PodInitializing"):
                return f"{name} waits: {reason} {message}".strip()[:500]
    return f"{name} is starting"
