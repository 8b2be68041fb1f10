"""Tokens tell who asks; roles and bindings tell whether they may."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from embedded.api.scheme import CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.apiserver import filters
from embedded.auth.default_roles import ensure_default_roles
from embedded.auth.rbac import AccessRequest, Authorizer
from embedded.auth.tokens import Authenticator, TokenFileError, User, load_signing_key, read_token_file
from embedded.registry.registry import Registry
from tests.unit.embedded.conftest import NOW

_ANN = User("ann", groups=("dev",))


class _Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


def _authenticator(registry: Registry, clock: _Clock | None = None) -> Authenticator:
    registry.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot"}}, namespace="default")
    return Authenticator(registry, {"known": _ANN}, b"k" * 32, clock or _Clock())


def _bind(registry: Registry, rules: list[dict[str, Any]], subject: dict[str, Any]) -> None:
    registry.create(ROLES, {"metadata": {"name": "r"}, "rules": rules}, namespace="default")
    binding = {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [subject]}
    registry.create(ROLE_BINDINGS, binding, namespace="default")


def test_the_token_file_is_that_of_a_real_server(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text('secret,ann,7,"dev,ops"\nother,bob,8\n')
    users = read_token_file(file)
    assert users["secret"] == User("ann", "7", ("dev", "ops", "system:authenticated"))
    assert users["other"].groups == ("system:authenticated",)


def test_a_broken_token_file_is_told_by_line_and_never_by_content(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text("hunter2,ann,7\nhunter3\n")
    with pytest.raises(TokenFileError) as told:
        read_token_file(file)
    assert f"{file}:2" in str(told.value)
    assert "hunter" not in str(told.value)


def test_the_signing_key_is_private_and_stays(tmp_path: Path) -> None:
    key = load_signing_key(tmp_path / "key")
    assert load_signing_key(tmp_path / "key") == key
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_service_account_is_known_by_its_token_until_it_expires(registry: Registry) -> None:
    clock = _Clock()
    authenticator = _authenticator(registry, clock)
    token = authenticator.issue_token("default", "robot", 600, [])["status"]["token"]
    user = authenticator.authenticate(token)
    assert user is not None
    assert user.name == "system:serviceaccount:default:robot"
    assert "system:serviceaccounts:default" in user.groups
    clock.now = NOW + timedelta(seconds=600)
    assert authenticator.authenticate(token) is None


def test_a_token_dies_with_its_account_also_when_one_of_the_same_name_follows(registry: Registry) -> None:
    authenticator = _authenticator(registry)
    token = authenticator.issue_token("default", "robot", 600, [])["status"]["token"]
    registry.delete(ObjectRef(SERVICE_ACCOUNTS, "default", "robot"))
    registry.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot"}}, namespace="default")
    assert authenticator.authenticate(token) is None


@pytest.mark.parametrize("token", ["", "unknown", "a.b.c", "...", "é.ü.ß", "eyJ9.eyJ9.", "\udcff"])
def test_a_token_nobody_signed_is_nobodys(registry: Registry, token: str) -> None:
    assert _authenticator(registry).authenticate(token) is None


def test_a_changed_token_is_nobodys(registry: Registry) -> None:
    authenticator = _authenticator(registry)
    token = authenticator.issue_token("default", "robot", 600, [])["status"]["token"]
    head, body, signature = token.split(".")
    assert authenticator.authenticate(f"{head}.{body[:-2]}AA.{signature}") is None


@pytest.mark.parametrize("seconds", [1, 2**33])
def test_a_lifetime_out_of_range_is_refused(registry: Registry, seconds: int) -> None:
    with pytest.raises(ApiError) as told:
        _authenticator(registry).issue_token("default", "robot", seconds, [])
    assert told.value.code == 422


def test_a_role_allows_what_it_says_where_it_is_bound(registry: Registry) -> None:
    _bind(registry, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}], {"kind": "Group", "name": "dev"})
    allows = Authorizer(registry).allows
    assert allows(_ANN, AccessRequest("get", "", "pods", "default", "p"))
    assert not allows(_ANN, AccessRequest("delete", "", "pods", "default", "p"))
    assert not allows(_ANN, AccessRequest("get", "", "pods/log", "default", "p"))
    assert not allows(_ANN, AccessRequest("get", "", "pods", "elsewhere", "p"))
    assert not allows(_ANN, AccessRequest("get", "", "pods", "", ""))
    assert not allows(User("bob"), AccessRequest("get", "", "pods", "default", "p"))


def test_names_in_a_rule_narrow_it(registry: Registry) -> None:
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["mine"]}
    _bind(registry, [rule], {"kind": "User", "name": "ann"})
    allows = Authorizer(registry).allows
    assert allows(_ANN, AccessRequest("get", "", "secrets", "default", "mine"))
    assert not allows(_ANN, AccessRequest("get", "", "secrets", "default", "yours"))
    assert not allows(_ANN, AccessRequest("list", "", "secrets", "default"))


def test_a_removed_binding_counts_no_longer(registry: Registry) -> None:
    _bind(registry, [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], {"kind": "User", "name": "ann"})
    authorizer = Authorizer(registry)
    wish = AccessRequest("get", "", "pods", "default", "p")
    assert authorizer.allows(_ANN, wish)
    registry.delete(ObjectRef(ROLE_BINDINGS, "default", "b"))
    assert not authorizer.allows(_ANN, wish)


def test_masters_may_do_everything_and_strangers_may_ask_what_they_may(registry: Registry) -> None:
    allows = Authorizer(registry).allows
    assert allows(User("root", groups=("system:masters",)), AccessRequest("delete", "", "nodes", "", "n"))
    assert allows(_ANN, AccessRequest("create", "authorization.k8s.io", "selfsubjectaccessreviews"))
    assert allows(_ANN, AccessRequest("get", path="/apis/batch/v1"))
    assert not allows(_ANN, AccessRequest("get", path="/metrics"))


def test_view_shows_no_secrets_and_edit_does(registry: Registry) -> None:
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


@pytest.mark.parametrize("host", ["127.0.0.1:6443", "localhost", "[::1]:80"])
def test_loopback_names_are_let_in(host: str) -> None:
    filters.check_origin({"Host": host})


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "evil.example:6443"},
        {"Host": "localhost@evil.example"},
        {"Host": "[::1"},
        {},
        {"Host": "localhost", "Origin": "https://evil.example"},
        {"Host": "localhost", "Origin": "null"},
    ],
)
def test_foreign_names_and_pages_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ApiError) as told:
        filters.check_origin(headers)
    assert told.value.code == 403
