"""Keeps the status of ResourceQuotas: how much of each limit is used. What exceeds one is refused by the registry."""

from __future__ import annotations

from embedded.api.quantity import format_quantity
from embedded.api.scheme import RESOURCE_QUOTAS
from embedded.controllers.delay_queue import Key, Remind
from embedded.registry.registry import Registry
from embedded.storage.sqlite import Event
from embedded.validation.quota import hard


class QuotaController:
    """Counts again whenever something in a namespace with a quota has changed: once for changes that come together."""

    def __init__(self, registry: Registry, remind: Remind) -> None:
        self._registry = registry
        self._remind = remind
        self._limited: set[str] = set()
        """Namespaces that may have a quota."""

    def start(self) -> None:
        for quota in self._registry.list(RESOURCE_QUOTAS):
            self._limited.add(quota["metadata"]["namespace"])
        for namespace in self._limited:
            self._remind(self._count, (namespace, ""), 0.0)

    def observe(self, event: Event) -> None:
        namespace = event.key.namespace
        if event.key.resource == RESOURCE_QUOTAS.key:
            self._limited.add(namespace)
        if namespace in self._limited:
            self._remind(self._count, (namespace, ""), 0.0)

    def _count(self, key: Key) -> None:
        namespace = key[0]
        quotas = self._registry.list(RESOURCE_QUOTAS, namespace)
        if not quotas:
            self._limited.discard(namespace)
        for quota in quotas:
            used = self._registry.quota_use(namespace, hard(quota), quota)
            status = {
                "hard": dict((quota.get("spec") or {}).get("hard") or {}),
                "used": {name: format_quantity(amount, name) for name, amount in sorted(used.items())},
            }
            if status != quota.get("status"):
                self._registry.update(
                    RESOURCE_QUOTAS,
                    {**quota, "status": status},
                    namespace=namespace,
                    name=quota["metadata"]["name"],
                    subresource="status",
                )
