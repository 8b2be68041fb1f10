"""Aggregated cluster roles: their rules are those of all cluster roles that their selectors match."""

from __future__ import annotations

from typing import Any

from embedded.api.scheme import CLUSTER_ROLES
from embedded.api.selectors import matches_selector
from embedded.controllers.delay_queue import Key, Remind
from embedded.registry.registry import Registry
from embedded.storage.sqlite import Event

Json = dict[str, Any]


class RoleAggregator:
    """Gathers again whenever a cluster role has changed: once for changes that come together."""

    def __init__(self, registry: Registry, remind: Remind) -> None:
        self._registry = registry
        self._remind = remind

    def start(self) -> None:
        self._remind(self._gather, ("", ""), 0.0)

    def observe(self, event: Event) -> None:
        if event.key.resource == CLUSTER_ROLES.key:
            self._remind(self._gather, ("", ""), 0.0)

    def _gather(self, _: Key) -> None:
        roles = self._registry.list(CLUSTER_ROLES)
        for role in roles:
            if role.get("aggregationRule"):
                rules = gathered(role, roles)
                if rules != (role.get("rules") or []):
                    name = role["metadata"]["name"]
                    self._registry.patch(CLUSTER_ROLES, None, name, {"rules": rules})


def gathered(role: Json, roles: list[Json]) -> list[Json]:
    """The rules of an aggregated role, each once, in the order of the selectors and of the names of the roles."""
    rules: list[Json] = []
    for selector in role["aggregationRule"].get("clusterRoleSelectors") or []:
        for other in sorted(roles, key=lambda found: str(found["metadata"]["name"])):
            if other is not role and matches_selector(selector, other["metadata"].get("labels") or {}):
                rules += [rule for rule in other.get("rules") or [] if rule not in rules]
    return rules
