"""Lets a receiver with an account of its own read the Secrets that deliveries are signed with, and no other.

A right on Secrets can be limited to names only. So the leading operator keeps a Role in each namespace that names those
of its connections which are labelled for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import Any

from controller import labels
from controller.forge_secrets import is_for_forges
from controller.kube import (
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    Informer,
    KubeClient,
    KubeError,
    NotFoundError,
    WorkQueue,
)
from controller.operator.manifests.rbac import RBAC_GROUP, RECEIVER_ROLE

Json = dict[str, Any]

CHECK_SECONDS = 60.0
"""How often the labels of the Secrets are looked at again."""
_log = logging.getLogger("c8s.webhooks")


class SecretAccess:
    """Runs in the leading operator.

    Args:
        connections: an informer on RepositoryConnections, which the caller runs.
        account: the receiver's service account, in `account_namespace`.
    """

    def __init__(self, client: KubeClient, connections: Informer, account: str, account_namespace: str) -> None:
        self._client = client
        self._connections = connections
        self._subject = {"kind": "ServiceAccount", "name": account, "namespace": account_namespace}
        self._queue: WorkQueue[str] = WorkQueue()
        self._is_watching = False

    async def run(self) -> None:
        """Run until cancelled."""
        if not self._is_watching:
            # Handlers can't be removed: a process that leads again has its handler already.
            self._connections.on_change(self._on_connection)
            self._is_watching = True
        await self._connections.wait_for_sync()
        for connection in self._connections.list():
            self._queue.add(connection["metadata"]["namespace"])
        async with asyncio.TaskGroup() as group:
            group.create_task(self._find_leftovers())
            group.create_task(self._work())

    def _on_connection(self, kind: str, old: Json | None, new: Json | None) -> None:
        if old is None or new is None or old["metadata"].get("generation") != new["metadata"].get("generation"):
            self._queue.add((new or old or {})["metadata"]["namespace"])

    async def _find_leftovers(self) -> None:
        """Look at namespaces whose last connection was deleted while no operator led."""
        while True:
            try:
                found = await self._client.list(ROLES, label_selector=labels.MANAGED_SELECTOR)
            except KubeError as error:
                _log.warning("the receiver's Roles can't be listed: %s", error)
                await asyncio.sleep(CHECK_SECONDS)
                continue
            for role in found["items"]:
                if role["metadata"]["name"] == RECEIVER_ROLE:
                    self._queue.add(role["metadata"]["namespace"])
            return

    async def _work(self) -> None:
        while True:
            namespace = await self._queue.get()
            try:
                wanted = self._wanted(namespace)
                if await self._reconcile(namespace, wanted) < len(wanted):
                    # A Secret is not there yet, or not labelled.
                    self._queue.add_rate_limited(namespace)
                else:
                    self._queue.forget(namespace)
                    if wanted:
                        self._queue.add_after(namespace, CHECK_SECONDS)
            except KubeError as error:
                _log.warning("the receiver's Role in %s was not written: %s", namespace, error)
                self._queue.add_rate_limited(namespace)
            finally:
                self._queue.done(namespace)

    def _wanted(self, namespace: str) -> list[str]:
        """The Secrets that the connections of a namespace name."""
        return sorted({str(each["spec"]["webhookSecretRef"]["name"]) for each in self._connections.list(namespace)})

    async def _reconcile(self, namespace: str, wanted: Iterable[str]) -> int:
        """Have the Role name those of the Secrets that are labelled; how many these are."""
        readable = [name for name in wanted if await self._is_readable(namespace, name)]
        if readable:
            await self._ensure_role(namespace, readable)
            await self._ensure_binding(namespace)
        else:
            with contextlib.suppress(NotFoundError):
                await self._client.delete(ROLE_BINDINGS, RECEIVER_ROLE, namespace=namespace)
            with contextlib.suppress(NotFoundError):
                await self._client.delete(ROLES, RECEIVER_ROLE, namespace=namespace)
        return len(readable)

    async def _is_readable(self, namespace: str, name: str) -> bool:
        try:
            return is_for_forges(await self._client.get(SECRETS, name, namespace))
        except NotFoundError:
            return False

    async def _ensure_role(self, namespace: str, secrets: Iterable[str]) -> None:
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": list(secrets)}]
        try:
            found = await self._client.get(ROLES, RECEIVER_ROLE, namespace)
        except NotFoundError:
            await self._client.create(ROLES, {"metadata": _metadata(namespace), "rules": rules}, namespace)
            return
        if found.get("rules") != rules:
            await self._client.update(ROLES, {**found, "rules": rules})

    async def _ensure_binding(self, namespace: str) -> None:
        reference = {"apiGroup": RBAC_GROUP, "kind": "Role", "name": RECEIVER_ROLE}
        binding = {"metadata": _metadata(namespace), "roleRef": reference, "subjects": [self._subject]}
        try:
            found = await self._client.get(ROLE_BINDINGS, RECEIVER_ROLE, namespace)
            if found.get("roleRef") == reference and found.get("subjects") == [self._subject]:
                return
            # What a binding refers to can't be changed.
            await self._client.delete(ROLE_BINDINGS, RECEIVER_ROLE, namespace=namespace)
        except NotFoundError:
            pass
        await self._client.create(ROLE_BINDINGS, binding, namespace)


def _metadata(namespace: str) -> Json:
    return {"name": RECEIVER_ROLE, "namespace": namespace, "labels": {labels.MANAGED_BY: labels.MANAGER}}
