"""Nobody gives away more than they have, and aggregated roles have what others have."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.api.scheme import (
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    SELF_SUBJECT_RULES_REVIEWS,
    SERVICE_ACCOUNTS,
    TOKEN_REVIEWS,
    ObjectRef,
)
from embedded.api.status_errors import ApiError
from embedded.auth.escalation import EscalationGuard
from embedded.auth.rbac import Authorizer
from embedded.auth.reviews import answer_review
from embedded.auth.tokens import DEFAULT_AUDIENCE, Authenticator, User
from embedded.controllers.clusterrole_aggregation import aggregate_rules
from embedded.registry.options import WriteOptions
from embedded.registry.registry import Registry
from tests.unit.embedded.conftest import NOW

Json = dict[str, Any]
JOE = User("joe", groups=("system:authenticated",))
_RBAC = "rbac.authorization.k8s.io"
_READ = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}


def _role(registry: Registry, name: str, *rules: Json) -> None:
    registry.create(ROLES, {"metadata": {"name": name}, "rules": list(rules)}, namespace="default")


def _bind(role: str, name: str = "b") -> Json:
    return {
        "metadata": {"name": name},
        "roleRef": {"kind": "Role", "name": role, "apiGroup": _RBAC},
        "subjects": [{"kind": "User", "name": "joe", "apiGroup": _RBAC}],
    }


def _create_as_joe(registry: Registry, resource: Any, obj: Json) -> None:
    change = registry.prepare_create(resource, obj, "default", WriteOptions())
    EscalationGuard(registry, Authorizer(registry)).check(JOE, change)


@pytest.fixture
def reader(registry: Registry) -> Registry:
    """A registry in which joe may get and list pods."""
    _role(registry, "reader", _READ)
    registry.create(ROLE_BINDINGS, _bind("reader"), namespace="default")
    return registry


def test_role_may_grant_permissions_of_its_writer(reader: Registry) -> None:
    _create_as_joe(reader, ROLES, {"metadata": {"name": "r"}, "rules": [{**_READ, "verbs": ["get"]}]})


def test_role_may_not_grant_more_than_its_writer_has(reader: Registry) -> None:
    with pytest.raises(ApiError) as raised:
        _create_as_joe(reader, ROLES, {"metadata": {"name": "r"}, "rules": [{**_READ, "verbs": ["get", "delete"]}]})
    assert raised.value.code == 403
    assert raised.value.message == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "joe" (groups=["system:authenticated"]) is attempting '
        "to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "delete"]}'
    )


def test_binding_may_not_grant_more_than_its_writer_has(reader: Registry) -> None:
    _role(reader, "owner", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
    _create_as_joe(reader, ROLE_BINDINGS, _bind("reader", "fine"))
    with pytest.raises(ApiError, match="not currently held"):
        _create_as_joe(reader, ROLE_BINDINGS, _bind("owner", "too-much"))


@pytest.mark.parametrize(("verb", "resource"), [("escalate", ROLES), ("bind", ROLE_BINDINGS)])
def test_escalate_and_bind_verbs_exempt_the_writer(reader: Registry, verb: str, resource: Any) -> None:
    _role(reader, "owner", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
    _role(reader, "giver", {"apiGroups": [_RBAC], "resources": ["roles"], "verbs": [verb]})
    reader.create(ROLE_BINDINGS, _bind("giver", "g"), namespace="default")
    everything = {"metadata": {"name": "all"}, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
    _create_as_joe(reader, resource, everything if resource is ROLES else _bind("owner", "all"))


def test_label_change_of_a_role_is_not_checked(reader: Registry) -> None:
    _role(reader, "owner", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
    label = {"metadata": {"labels": {"a": "b"}}}
    change = reader.prepare_patch(ObjectRef(ROLES, "default", "owner"), label, "merge", WriteOptions())
    EscalationGuard(reader, Authorizer(reader)).check(JOE, change)


def test_aggregated_role_has_rules_of_selected_roles() -> None:
    def role(name: str, rules: list[Json], **labels: str) -> Json:
        return {"metadata": {"name": name, "labels": labels}, "rules": rules}

    whole: Json = {
        "metadata": {"name": "whole"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part": "yes"}}]},
    }
    parts = [role("b", [_READ, {"verbs": ["b"]}], part="yes"), role("a", [_READ], part="yes"), role("c", [{}])]
    assert aggregate_rules(whole, [*parts, whole]) == [_READ, {"verbs": ["b"]}]


def test_self_subject_rules_review_lists_rules(reader: Registry) -> None:
    reader.create(CLUSTER_ROLES, {"metadata": {"name": "unbound"}, "rules": [{**_READ, "verbs": ["delete"]}]})
    review = answer_review(
        SELF_SUBJECT_RULES_REVIEWS,
        {"spec": {"namespace": "default"}},
        "",
        JOE,
        _anonymous_authenticator(reader),
        Authorizer(reader),
    )
    assert {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]} in review["status"]["resourceRules"]
    assert all("delete" not in rule["verbs"] for rule in review["status"]["resourceRules"])
    assert review["status"]["incomplete"] is False


def _anonymous_authenticator(registry: Registry) -> Authenticator:
    return Authenticator(registry, {}, b"k" * 32, lambda: NOW)


@pytest.mark.parametrize(
    ("meant_for", "asked_by", "good"),
    [
        ([DEFAULT_AUDIENCE], [], True),
        (["there"], [], False),
        (["there"], ["there", "x"], True),
        (["there"], ["x"], False),
    ],
)
def test_token_is_valid_only_for_its_audiences(
    registry: Registry, meant_for: list[str], asked_by: list[str], good: bool
) -> None:
    registry.create(SERVICE_ACCOUNTS, {"metadata": {"name": "bot"}}, namespace="default")
    authenticator = _anonymous_authenticator(registry)
    token = authenticator.issue_token("default", "bot", 600, meant_for)["status"]["token"]
    spec = {"token": token, "audiences": asked_by}
    status = answer_review(TOKEN_REVIEWS, {"spec": spec}, "", JOE, authenticator, Authorizer(registry))["status"]
    assert status.get("authenticated", False) is good
    assert status.get("audiences") == (["there"] if good and asked_by else [DEFAULT_AUDIENCE] if good else None)
    assert (authenticator.authenticate(token) is not None) is (DEFAULT_AUDIENCE in meant_for)
