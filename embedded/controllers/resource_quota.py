"""Keeps the status of ResourceQuotas up to date: how much of each limit is used. The registry enforces the limits."""

from __future__ import annotations

from embedded.api.quantity import format_quantity
from embedded.api.scheme import RESOURCE_QUOTAS, ObjectRef
from embedded.controllers.delay_queue import EnqueueAfter, Key
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StoreEvent
from embedded.validation.quota import hard_limits


class QuotaController:
    """Counts again when an object in a namespace with a quota has changed, once for changes that come together."""

    def __init__(self, registry: Registry, enqueue_after: EnqueueAfter) -> None:
        self._registry = registry
        self._enqueue_after = enqueue_after
        self._namespaces_with_quota: set[str] = set()
        """Namespaces that may have a quota."""

    def start(self) -> None:
        for quota in self._registry.list(RESOURCE_QUOTAS):
            self._namespaces_with_quota.add(quota["metadata"]["namespace"])
        for namespace in self._namespaces_with_quota:
            self._enqueue_after(self._sync, (namespace, ""), 0.0)

    def observe(self, event: StoreEvent) -> None:
        namespace = event.key.namespace
        if event.key.resource == RESOURCE_QUOTAS.key:
            self._namespaces_with_quota.add(namespace)
        if namespace in self._namespaces_with_quota:
            self._enqueue_after(self._sync, (namespace, ""), 0.0)

    def _sync(self, key: Key) -> None:
        namespace = key[0]
        quotas = self._registry.list(RESOURCE_QUOTAS, namespace)
        if not quotas:
            self._namespaces_with_quota.discard(namespace)
        for quota in quotas:
            used = self._registry.quota_usage(namespace, hard_limits(quota), quota)
            status = {
                "hard": dict((quota.get("spec") or {}).get("hard") or {}),
                "used": {name: format_quantity(amount, name) for name, amount in sorted(used.items())},
            }
            if status != quota.get("status"):
                self._registry.update(
                    ObjectRef(RESOURCE_QUOTAS, namespace, quota["metadata"]["name"]),
                    {**quota, "status": status},
                    subresource="status",
                )
