"""Tokens for teammates: what is created, in which order, and that a failure leaves nothing."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from controller.kube import ForbiddenError, KubeClient, NotFoundError, Resource
from kind.access import team_tokens
from kind.errors import KindError

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Cluster:
    """Holds objects by kind and name. `issue` answers requests for tokens."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {
            ("Namespace", "team"): {"metadata": {"name": "team"}},
            ("ClusterRole", "c8s-viewer"): {"metadata": {"name": "c8s-viewer"}},
        }
        self.lifetime: timedelta | None = None
        self.refuses = ""

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [value for (each, _), value in self.objects.items() if each == kind]

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        if (resource.kind, name) not in self.objects:
            raise NotFoundError("not found", status=404)
        return self.objects[resource.kind, name]

    async def create(self, resource: Resource, obj: dict[str, Any], namespace: str) -> dict[str, Any]:
        if self.refuses == resource.kind:
            raise ForbiddenError("forbidden", status=403)
        metadata = {
            **obj["metadata"],
            "namespace": namespace,
            "uid": "u-1",
            "creationTimestamp": "2026-11-29T12:00:00Z",
        }
        self.objects[resource.kind, metadata["name"]] = {**obj, "metadata": metadata}
        return self.objects[resource.kind, metadata["name"]]

    async def patch(self, resource: Resource, name: str, patch: Any, *, namespace: str) -> dict[str, Any]:
        found = self.objects[resource.kind, name]
        found["metadata"]["annotations"] |= patch["metadata"]["annotations"]
        return found

    async def delete(self, resource: Resource, name: str, *, namespace: str, uid: str) -> dict[str, Any]:
        return self.objects.pop((resource.kind, name))

    async def request_token(self, account: str, namespace: str, *, expiration_seconds: int) -> dict[str, Any]:
        if self.refuses == "hang":
            await asyncio.sleep(3600)
        if self.refuses == "token":
            raise ForbiddenError("no tokens", status=403)
        expires = NOW + (self.lifetime or timedelta(seconds=expiration_seconds))
        return {"token": "t-secret", "expirationTimestamp": expires.isoformat()}

    def client(self) -> KubeClient:
        return cast(KubeClient, self)


async def create(cluster: Cluster, lifetime: timedelta = HOUR, holder: str = "alice") -> team_tokens.IssuedToken:
    return await team_tokens.create(cluster.client(), "viewer", "team", lifetime, NOW, holder)


async def test_a_token_has_an_account_of_its_own_with_a_role_in_one_namespace() -> None:
    cluster = Cluster()
    issued = await create(cluster)
    (account,), (binding,) = cluster.of("ServiceAccount"), cluster.of("RoleBinding")
    assert account["automountServiceAccountToken"] is False
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "c8s-viewer",
    }  # fmt: skip
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": issued.account.name, "namespace": "team"}]
    assert binding["metadata"]["ownerReferences"][0]["uid"] == "u-1", "deleted with the account"
    assert (issued.account.expires, issued.account.holder) == (NOW + HOUR, "alice")
    assert "t-secret" not in json.dumps([*cluster.objects.values()]), "the cluster stores no token"
    assert "t-secret" not in repr(issued)


async def test_a_lifetime_that_the_cluster_shortens_is_what_lists_show() -> None:
    cluster = Cluster()
    cluster.lifetime = timedelta(minutes=30)
    issued = await create(cluster, timedelta(days=3))
    assert issued.account.expires == NOW + timedelta(minutes=30)
    (account,) = cluster.of("ServiceAccount")
    assert account["metadata"]["annotations"]["c8s.dev/token-expires"] == "2026-11-29T12:30:00Z"


@pytest.mark.parametrize("refuses", ["RoleBinding", "token"])
async def test_nothing_is_left_of_a_token_that_could_not_be_issued(refuses: str) -> None:
    cluster = Cluster()
    cluster.refuses = refuses
    with pytest.raises(KindError, match="could not be issued"):
        await create(cluster)
    assert not cluster.of("ServiceAccount")


async def test_nothing_is_left_after_an_interruption() -> None:
    cluster = Cluster()
    cluster.refuses = "hang"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(create(cluster), 0.05)
    assert not cluster.of("ServiceAccount")


@pytest.mark.parametrize(
    ("role", "namespace", "lifetime", "holder", "why"),
    [
        ("viewer", "team", timedelta(minutes=9), "", "10 minutes to 30 days"),
        ("viewer", "team", timedelta(days=31), "", "10 minutes to 30 days"),
        ("viewer", "team", HOUR, "Alice Smith", "can't be a part"),
        ("viewer", "team", HOUR, "x" * 41, "can't be a part"),
        ("viewer", "absent", HOUR, "", "no namespace absent"),
        ("developer", "team", HOUR, "", "no ClusterRole c8s-developer"),
        ("developer", "c8s-system", HOUR, "", "shell in the controller"),
        ("developer", "kube-system", HOUR, "", "shell in the controller"),
    ],
)
async def test_what_can_not_be_is_refused_before_anything_is_created(
    role: Any, namespace: str, lifetime: timedelta, holder: str, why: str
) -> None:
    cluster = Cluster()
    with pytest.raises(KindError, match=why):
        await team_tokens.create(cluster.client(), role, namespace, lifetime, NOW, holder)
    assert not cluster.of("ServiceAccount")


async def test_only_accounts_of_tokens_are_revoked() -> None:
    cluster = Cluster()
    cluster.objects["ServiceAccount", "default"] = {"metadata": {"name": "default", "namespace": "team", "uid": "u"}}
    with pytest.raises(KindError, match="not one of a token"):
        await team_tokens.revoke(cluster.client(), "team", "default")
    with pytest.raises(KindError, match="no token other"):
        await team_tokens.revoke(cluster.client(), "team", "other")
    issued = await create(cluster)
    await team_tokens.revoke(cluster.client(), "team", issued.account.name)
    assert [each["metadata"]["name"] for each in cluster.of("ServiceAccount")] == ["default"]


def test_a_kubeconfig_has_the_certificate_of_the_cluster_and_none_of_its_credentials(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("the certificate")
    admin = {
        "current-context": "admin",
        "contexts": [{"name": "admin", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://k.example.org", "certificate-authority": "ca.crt"}}],
        "users": [{"name": "u", "user": {"token": "admin-secret"}}],
    }
    (tmp_path / "config").write_text(json.dumps(admin))
    account = team_tokens.TeamToken("c8s-alice-1", "team", "viewer", "alice", NOW, NOW + HOUR)
    text = team_tokens.build_kubeconfig(tmp_path / "config", None, "mine", team_tokens.IssuedToken(account, "t-secret"))
    found = json.loads(text)
    assert "admin-secret" not in text
    assert found["clusters"][0]["cluster"] == {
        "server": "https://k.example.org", "certificate-authority-data": "dGhlIGNlcnRpZmljYXRl",
    }  # fmt: skip
    assert found["contexts"][0]["context"]["namespace"] == "team"
    assert found["users"] == [{"name": "c8s-alice-1", "user": {"token": "t-secret"}}]
