"""Users are authenticated by static tokens and service account tokens."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from embedded.api.scheme import SECRETS, SERVICE_ACCOUNTS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.auth.tokens import Authenticator, TokenFileError, User, load_signing_key, read_token_file
from embedded.registry.registry import Registry
from tests.support.clock import FakeDatetimeClock
from tests.unit.embedded.conftest import NOW

_ANN = User("ann", groups=("dev",))


def _authenticator(registry: Registry, clock: FakeDatetimeClock | None = None) -> Authenticator:
    registry.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot"}}, namespace="default")
    return Authenticator(registry, {"known": _ANN}, b"k" * 32, clock or FakeDatetimeClock(NOW))


def test_token_file_has_the_format_of_kube_apiserver(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text('secret,ann,7,"dev,ops"\nother,bob,8\n')
    users = read_token_file(file)
    assert users["secret"] == User("ann", "7", ("dev", "ops", "system:authenticated"))
    assert users["other"].groups == ("system:authenticated",)


def test_token_file_error_names_line_but_not_content(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text("hunter2,ann,7\nhunter3\n")
    with pytest.raises(TokenFileError) as raised:
        read_token_file(file)
    assert f"{file}:2" in str(raised.value)
    assert "hunter" not in str(raised.value)


def test_signing_key_is_private_and_persistent(tmp_path: Path) -> None:
    key = load_signing_key(tmp_path / "key")
    assert load_signing_key(tmp_path / "key") == key
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_service_account_token_is_valid_until_it_expires(registry: Registry) -> None:
    clock = FakeDatetimeClock(NOW)
    authenticator = _authenticator(registry, clock)
    token = authenticator.issue_token("default", "robot", 600, [])["status"]["token"]
    user = authenticator.authenticate(token)
    assert user is not None
    assert user.name == "system:serviceaccount:default:robot"
    assert "system:serviceaccounts:default" in user.groups
    clock.now = NOW + timedelta(seconds=600)
    assert authenticator.authenticate(token) is None


def test_token_is_invalid_after_account_is_recreated(registry: Registry) -> None:
    authenticator = _authenticator(registry)
    token = authenticator.issue_token("default", "robot", 600, [])["status"]["token"]
    registry.delete(ObjectRef(SERVICE_ACCOUNTS, "default", "robot"))
    registry.create(SERVICE_ACCOUNTS, {"metadata": {"name": "robot"}}, namespace="default")
    assert authenticator.authenticate(token) is None


@pytest.mark.parametrize("token", ["", "unknown", "a.b.c", "...", "é.ü.ß", "eyJ9.eyJ9.", "\udcff"])
def test_unsigned_token_is_invalid(registry: Registry, token: str) -> None:
    assert _authenticator(registry).authenticate(token) is None


def test_modified_token_is_invalid(registry: Registry) -> None:
    authenticator = _authenticator(registry)
    token = authenticator.issue_token("default", "robot", 600, [])["status"]["token"]
    head, body, signature = token.split(".")
    assert authenticator.authenticate(f"{head}.{body[:-2]}AA.{signature}") is None


@pytest.mark.parametrize("seconds", [1, 2**33])
def test_token_lifetime_out_of_range_is_refused(registry: Registry, seconds: int) -> None:
    with pytest.raises(ApiError) as raised:
        _authenticator(registry).issue_token("default", "robot", seconds, [])
    assert raised.value.code == 422


def test_a_bound_token_ends_with_its_object(registry: Registry) -> None:
    authenticator = _authenticator(registry)
    ref = ObjectRef(SECRETS, "default", "s")
    uid = registry.create(SECRETS, {"metadata": {"name": "s"}}, namespace="default").object["metadata"]["uid"]
    bound_to = {"kind": "Secret", "apiVersion": "v1", "name": "s", "uid": uid}
    issued = authenticator.issue_token("default", "robot", 600, ["a"], bound_to)
    assert issued["spec"]["boundObjectRef"] == bound_to
    assert authenticator.authenticate(issued["status"]["token"], ["a"]) is not None
    registry.delete(ref)
    assert authenticator.authenticate(issued["status"]["token"], ["a"]) is None


@pytest.mark.parametrize(
    ("bound_to", "code"),
    [
        ({"kind": "Pod", "apiVersion": "v1", "name": "none"}, 404),
        ({"kind": "ConfigMap", "apiVersion": "v1", "name": "c"}, 400),
        ({"kind": "Secret", "apiVersion": "v1", "name": "s", "uid": "another"}, 409),
    ],
)
def test_tokens_are_bound_to_existing_objects_only(registry: Registry, bound_to: dict[str, str], code: int) -> None:
    authenticator = _authenticator(registry)
    registry.create(SECRETS, {"metadata": {"name": "s"}}, namespace="default")
    with pytest.raises(ApiError) as refused:
        authenticator.issue_token("default", "robot", 600, ["a"], bound_to)
    assert refused.value.code == code
