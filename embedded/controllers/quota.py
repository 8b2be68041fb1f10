"""Keeps the status of ResourceQuotas: how much of each limit is used. What exceeds one is refused by the registry."""

from __future__ import annotations

from embedded.machinery.quota import format_quantity, hard
from embedded.machinery.registry import Registry
from embedded.machinery.resources import RESOURCE_QUOTAS
from embedded.storage.store import Event


class QuotaController:
    """Counts again whenever something in a namespace with a quota changes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def start(self) -> None:
        for quota in self._registry.list(RESOURCE_QUOTAS):
            self._count(quota["metadata"]["namespace"])

    def observe(self, event: Event) -> None:
        if event.key.namespace:
            self._count(event.key.namespace)

    def look_again(self, key: tuple[str, str]) -> None:
        return

    def _count(self, namespace: str) -> None:
        for quota in self._registry.list(RESOURCE_QUOTAS, namespace):
            used = self._registry.quota_use(namespace, hard(quota))
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
