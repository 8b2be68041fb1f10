"""Aggregated cluster roles: their rules are those of all cluster roles that their selectors match."""

from __future__ import annotations

from typing import Any

from embedded.api.scheme import CLUSTER_ROLES, ObjectRef
from embedded.api.selectors import matches_label_selector
from embedded.controllers.delay_queue import EnqueueAfter, Key
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StoreEvent

Json = dict[str, Any]


class ClusterRoleAggregationController:
    """Aggregates again when a cluster role has changed, once for changes that come together."""

    def __init__(self, registry: Registry, enqueue_after: EnqueueAfter) -> None:
        self._registry = registry
        self._enqueue_after = enqueue_after

    def start(self) -> None:
        self._enqueue_after(self._sync, ("", ""), 0.0)

    def observe(self, event: StoreEvent) -> None:
        if event.key.resource == CLUSTER_ROLES.key:
            self._enqueue_after(self._sync, ("", ""), 0.0)

    def _sync(self, _: Key) -> None:
        roles = self._registry.list(CLUSTER_ROLES)
        for role in roles:
            if role.get("aggregationRule"):
                rules = aggregate_rules(role, roles)
                if rules != (role.get("rules") or []):
                    name = role["metadata"]["name"]
                    self._registry.patch(ObjectRef(CLUSTER_ROLES, None, name), {"rules": rules})


def aggregate_rules(role: Json, roles: list[Json]) -> list[Json]:
    """The rules of an aggregated role, each once, in the order of the selectors and of the names of the roles."""
    rules: list[Json] = []
    for selector in role["aggregationRule"].get("clusterRoleSelectors") or []:
        for other in sorted(roles, key=lambda found: str(found["metadata"]["name"])):
            if other is not role and matches_label_selector(selector, other["metadata"].get("labels") or {}):
                rules += [rule for rule in other.get("rules") or [] if rule not in rules]
    return rules
