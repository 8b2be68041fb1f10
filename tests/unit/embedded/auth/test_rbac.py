"""Roles and bindings decide what a user may do."""

from __future__ import annotations

from typing import Any

from embedded.api.scheme import CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, ObjectRef
from embedded.auth.default_roles import ensure_default_roles
from embedded.auth.rbac import AccessRequest, Authorizer
from embedded.auth.tokens import Authenticator, User
from embedded.registry.registry import Registry
from tests.support.clock import FakeDatetimeClock
from tests.unit.embedded.conftest import NOW

_ANN = User("ann", groups=("dev",))


def _authenticator(registry: Registry, clock: FakeDatetimeClock | None = None) -> Authenticator:
    registry.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot"}}, namespace="default")
    return Authenticator(registry, {"known": _ANN}, b"k" * 32, clock or FakeDatetimeClock(NOW))


def _bind(registry: Registry, rules: list[dict[str, Any]], subject: dict[str, Any]) -> None:
    registry.create(ROLES, {"metadata": {"name": "r"}, "rules": rules}, namespace="default")
    binding = {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [subject]}
    registry.create(ROLE_BINDINGS, binding, namespace="default")


def test_role_allows_its_rules_in_the_bound_namespace(registry: Registry) -> None:
    _bind(registry, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}], {"kind": "Group", "name": "dev"})
    allows = Authorizer(registry).allows
    assert allows(_ANN, AccessRequest("get", "", "pods", "default", "p"))
    assert not allows(_ANN, AccessRequest("delete", "", "pods", "default", "p"))
    assert not allows(_ANN, AccessRequest("get", "", "pods/log", "default", "p"))
    assert not allows(_ANN, AccessRequest("get", "", "pods", "elsewhere", "p"))
    assert not allows(_ANN, AccessRequest("get", "", "pods", "", ""))
    assert not allows(User("bob"), AccessRequest("get", "", "pods", "default", "p"))


def test_resource_names_restrict_a_rule(registry: Registry) -> None:
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["mine"]}
    _bind(registry, [rule], {"kind": "User", "name": "ann"})
    allows = Authorizer(registry).allows
    assert allows(_ANN, AccessRequest("get", "", "secrets", "default", "mine"))
    assert not allows(_ANN, AccessRequest("get", "", "secrets", "default", "yours"))
    assert not allows(_ANN, AccessRequest("list", "", "secrets", "default"))


def test_deleted_binding_no_longer_grants(registry: Registry) -> None:
    _bind(registry, [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], {"kind": "User", "name": "ann"})
    authorizer = Authorizer(registry)
    wish = AccessRequest("get", "", "pods", "default", "p")
    assert authorizer.allows(_ANN, wish)
    registry.delete(ObjectRef(ROLE_BINDINGS, "default", "b"))
    assert not authorizer.allows(_ANN, wish)


def test_masters_may_do_everything_and_others_self_reviews(registry: Registry) -> None:
    allows = Authorizer(registry).allows
    assert allows(User("root", groups=("system:masters",)), AccessRequest("delete", "", "nodes", "", "n"))
    ann = User("ann", groups=("system:authenticated",))
    assert allows(ann, AccessRequest("create", "authorization.k8s.io", "selfsubjectaccessreviews"))
    assert allows(ann, AccessRequest("get", path="/apis/batch/v1"))
    assert not allows(ann, AccessRequest("get", path="/metrics"))


def test_discovery_is_for_the_authenticated_group(registry: Registry) -> None:
    assert not Authorizer(registry).allows(_ANN, AccessRequest("get", path="/version"))


def test_edit_role_reads_secrets_and_view_role_does_not(registry: Registry) -> None:
    ensure_default_roles(registry)
    ensure_default_roles(registry)
    for user, role in (("v", "view"), ("e", "edit"), ("c", "cluster-admin")):
        binding = {
            "metadata": {"name": user},
            "roleRef": {"kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": user}],
        }
        registry.create(CLUSTER_ROLE_BINDINGS, binding)
    allows = Authorizer(registry).allows
    secret, pods = AccessRequest("get", "", "secrets", "default", "s"), AccessRequest("list", "", "pods", "default")
    assert [allows(User(name), secret) for name in "vec"] == [False, True, True]
    assert all(allows(User(name), pods) for name in "vec")
    assert [allows(User(name), AccessRequest("get", path="/metrics")) for name in "vec"] == [False, False, True]
