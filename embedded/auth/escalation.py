"""Prevents privilege escalation: roles and bindings may only grant permissions that their writer has.

As on a real server, users who may `escalate` roles or `bind` the referenced role are exempt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from embedded.api.scheme import CLUSTER_ROLES, RBAC_RESOURCES, ROLES
from embedded.api.status_errors import forbidden
from embedded.auth.rbac import AccessRequest, Authorizer, role_rules
from embedded.auth.tokens import User
from embedded.registry.prepare import PreparedWrite
from embedded.registry.registry import Registry
from embedded.types import JsonObject

_GROUP = "rbac.authorization.k8s.io"


class EscalationGuard:
    """Checks writes of roles and bindings."""

    def __init__(self, registry: Registry, authorizer: Authorizer) -> None:
        self._registry = registry
        self._authorizer = authorizer

    def check(self, user: User, write: PreparedWrite) -> None:
        """Refuse a write that grants permissions that the user does not have.

        Raises:
            ApiError: 403.
        """
        resource = write.resource
        if resource not in RBAC_RESOURCES or (write.old is not None and not _changes_permissions(write.old, write.new)):
            return
        namespace, name = write.key.namespace, write.key.name
        if resource in (ROLES, CLUSTER_ROLES):
            exempt = AccessRequest("escalate", _GROUP, resource.plural, namespace, name)
            rules = list(write.new.get("rules") or [])
            if write.new.get("aggregationRule"):
                # An aggregated role may get any rules later, so it requires all permissions.
                rules.append({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
        else:
            role = write.new.get("roleRef") or {}
            plural = "roles" if role.get("kind") == "Role" else "clusterroles"
            exempt = AccessRequest("bind", _GROUP, plural, namespace, str(role.get("name", "")))
            rules = role_rules(self._registry, role, namespace)
        if self._authorizer.allows(user, exempt):
            return
        missing = [rule for rule in rules if not self._has_rule(user, namespace, rule)]
        if missing:
            rules_text = "\n".join(_format_rule(rule) for rule in missing)
            why = (
                f'user "{user.name}" (groups={_format_list(user.groups)}) is attempting to grant RBAC permissions not '
                f"currently held:\n{rules_text}"
            )
            raise forbidden(resource.plural, name, resource.group, why)

    def _has_rule(self, user: User, namespace: str, rule: JsonObject) -> bool:
        return all(self._authorizer.allows(user, request) for request in _expand_rule(rule, namespace))


def _changes_permissions(old: JsonObject, new: JsonObject) -> bool:
    return any(old.get(field) != new.get(field) for field in ("rules", "aggregationRule", "roleRef", "subjects"))


def _expand_rule(rule: JsonObject, namespace: str) -> Iterator[AccessRequest]:
    """Every request that a rule allows. A `*` is matched literally: only a user who has `*` may grant it."""
    for verb in rule.get("verbs") or []:
        for path in rule.get("nonResourceURLs") or []:
            yield AccessRequest(verb, path=path)
        for group in rule.get("apiGroups") or []:
            for resource in rule.get("resources") or []:
                for name in rule.get("resourceNames") or [""]:
                    yield AccessRequest(verb, group, resource, namespace, name)


def _format_rule(rule: JsonObject) -> str:
    fields = ("apiGroups", "resources", "resourceNames", "nonResourceURLs", "verbs")
    names = ("APIGroups", "Resources", "ResourceNames", "NonResourceURLs", "Verbs")
    parts = [
        f"{name}:{_format_list(rule[field])}" for field, name in zip(fields, names, strict=True) if rule.get(field)
    ]
    return "{" + ", ".join(parts) + "}"


def _format_list(values: Any) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
