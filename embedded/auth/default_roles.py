"""The default cluster roles: cluster-admin, admin, edit and view, and the `system:` roles that users bind.

As on a real cluster, admin, edit and view are aggregated: a role with the label
`rbac.authorization.k8s.io/aggregate-to-view: "true"` adds its rules to view, and so to edit and admin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from embedded.api.scheme import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ObjectRef
from embedded.auth.rbac import AUTHENTICATED_RULES
from embedded.auth.tokens import MASTERS
from embedded.registry.registry import Registry
from embedded.types import JsonObject, copy_json

_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_VIEWABLE = (
    "configmaps",
    "events",
    "pods",
    "pods/log",
    "pods/status",
    "resourcequotas",
    "serviceaccounts",
    "namespaces",
)
_EDITABLE = ("configmaps", "events", "pods", "secrets", "serviceaccounts")
_RBAC = "rbac.authorization.k8s.io"


def _rule(group: str, resources: Iterable[str], verbs: Iterable[str]) -> JsonObject:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


_ADMIN = [_rule(_RBAC, ("roles", "rolebindings"), (*_READ, *_WRITE))]
_EDIT = [
    _rule("", ("secrets",), _READ),
    _rule("", _EDITABLE, _WRITE),
    _rule("", ("serviceaccounts/token",), ("create",)),
    _rule("batch", ("jobs",), _WRITE),
    _rule("coordination.k8s.io", ("leases",), _WRITE),
]
_VIEW = [
    _rule("", _VIEWABLE, _READ),
    _rule("batch", ("jobs", "jobs/status"), _READ),
    _rule("coordination.k8s.io", ("leases",), _READ),
]
_METRICS = [_rule("metrics.k8s.io", ("nodes", "pods"), _READ)]
_VERSIONS = ("/healthz", "/livez", "/readyz", "/version", "/version/")


def _aggregate_to(name: str) -> JsonObject:
    return {f"{_RBAC}/aggregate-to-{name}": "true"}


@dataclass(frozen=True)
class _DefaultRole:
    """A default role. One that is aggregated starts with the rules that the controller would give it."""

    rules: list[JsonObject]
    labels: JsonObject = field(default_factory=dict)
    aggregates: str = ""

    def fields(self) -> JsonObject:
        """The labels and the aggregationRule of the object."""
        found: JsonObject = {"metadata": {"labels": {**_LABELS, **self.labels}, "annotations": {_AUTO_UPDATE: "true"}}}
        if self.aggregates:
            selector = {"matchLabels": _aggregate_to(self.aggregates)}
            found["aggregationRule"] = {"clusterRoleSelectors": [selector]}
        return found


_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_ROLES = {
    "cluster-admin": _DefaultRole([_rule("*", ("*",), ("*",)), {"nonResourceURLs": ["*"], "verbs": ["*"]}]),
    "admin": _DefaultRole([*_EDIT, *_VIEW, *_METRICS, *_ADMIN], aggregates="admin"),
    "edit": _DefaultRole([*_EDIT, *_VIEW, *_METRICS], _aggregate_to("admin"), aggregates="edit"),
    "view": _DefaultRole([*_VIEW, *_METRICS], _aggregate_to("edit"), aggregates="view"),
    "system:aggregate-to-admin": _DefaultRole(_ADMIN, _aggregate_to("admin")),
    "system:aggregate-to-edit": _DefaultRole(_EDIT, _aggregate_to("edit")),
    "system:aggregate-to-view": _DefaultRole(_VIEW, _aggregate_to("view")),
    # Of metrics-server.
    "system:aggregated-metrics-reader": _DefaultRole(_METRICS, _aggregate_to("view")),
    "system:auth-delegator": _DefaultRole(
        [
            _rule("authentication.k8s.io", ("tokenreviews",), ("create",)),
            _rule("authorization.k8s.io", ("subjectaccessreviews",), ("create",)),
        ]
    ),
    "system:basic-user": _DefaultRole([dict(rule) for rule in AUTHENTICATED_RULES if "resources" in rule]),
    "system:discovery": _DefaultRole([dict(rule) for rule in AUTHENTICATED_RULES if "nonResourceURLs" in rule]),
    "system:monitoring": _DefaultRole(
        [
            {
                "nonResourceURLs": ["/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/readyz", "/readyz/*"],
                "verbs": ["get"],
            }
        ]
    ),
    "system:public-info-viewer": _DefaultRole([{"nonResourceURLs": list(_VERSIONS), "verbs": ["get"]}]),
}


def ensure_default_roles(registry: Registry) -> None:
    """Create the default roles that do not exist, and make existing ones aggregated; other changes stay."""
    for name, role in _ROLES.items():
        ref, fields = ObjectRef(CLUSTER_ROLES, None, name), role.fields()
        found = registry.find(ref)
        if found is None:
            fields["metadata"]["name"] = name
            registry.create(CLUSTER_ROLES, {**fields, "rules": copy_json(role.rules)})
        elif role.aggregates and not found.get("aggregationRule") and _is_updated_automatically(found):
            # Of a cluster from before the roles were aggregated.
            registry.patch(ref, fields)
    if registry.find(ObjectRef(CLUSTER_ROLE_BINDINGS, None, "cluster-admin")) is None:
        binding = {
            "metadata": {"name": "cluster-admin", "labels": dict(_LABELS)},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": MASTERS}],
        }
        registry.create(CLUSTER_ROLE_BINDINGS, binding)


def _is_updated_automatically(role: JsonObject) -> bool:
    return (role["metadata"].get("annotations") or {}).get(_AUTO_UPDATE) != "false"
