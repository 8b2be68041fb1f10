"""The default cluster roles: cluster-admin, admin, edit and view."""

from __future__ import annotations

from collections.abc import Iterable

from embedded.api.scheme import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ObjectRef
from embedded.auth.tokens import MASTERS
from embedded.registry.registry import Registry
from embedded.types import JsonObject

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


_VIEW = [
    _rule("", _VIEWABLE, _READ),
    _rule("batch", ("jobs", "jobs/status"), _READ),
    _rule("coordination.k8s.io", ("leases",), _READ),
]
_EDIT = [
    *_VIEW,
    _rule("", ("secrets",), _READ),
    _rule("", _EDITABLE, _WRITE),
    _rule("", ("serviceaccounts/token",), ("create",)),
    _rule("batch", ("jobs",), _WRITE),
    _rule("coordination.k8s.io", ("leases",), _WRITE),
]
_ROLES = {
    "cluster-admin": [_rule("*", ("*",), ("*",)), {"nonResourceURLs": ["*"], "verbs": ["*"]}],
    "admin": [*_EDIT, _rule(_RBAC, ("roles", "rolebindings"), (*_READ, *_WRITE))],
    "edit": _EDIT,
    "view": _VIEW,
}


def ensure_default_roles(registry: Registry) -> None:
    """Create the default roles that do not exist; changed ones stay as they are."""
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    for name, rules in _ROLES.items():
        if registry.find(ObjectRef(CLUSTER_ROLES, None, name)) is None:
            registry.create(CLUSTER_ROLES, {"metadata": {"name": name, "labels": labels}, "rules": rules})
    if registry.find(ObjectRef(CLUSTER_ROLE_BINDINGS, None, "cluster-admin")) is None:
        binding = {
            "metadata": {"name": "cluster-admin", "labels": labels},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": MASTERS}],
        }
        registry.create(CLUSTER_ROLE_BINDINGS, binding)
