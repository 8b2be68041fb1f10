"""Logins for registries."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from embedded.kubelet.runtime.engine.images.credentials import find_login, header, secret_logins, stored_login
from embedded.kubelet.runtime.engine.images.references import ImageReference

Json = dict[str, Any]
AUTH = base64.b64encode(b"me:pass:word").decode()


def reference(text: str) -> ImageReference:
    found = ImageReference.parse(text)
    assert found is not None
    return found


def secret(auths: Any) -> Json:
    return {"data": {".dockerconfigjson": base64.b64encode(json.dumps({"auths": auths}).encode()).decode()}}


def test_the_most_specific_login_is_used() -> None:
    logins = secret_logins(secret({"reg.io": {"username": "a", "password": "1"}, "reg.io/team": {"auth": AUTH}}))
    assert find_login([logins], reference("reg.io/team/app:1")) == {
        "username": "me",
        "password": "pass:word",
        "serveraddress": "reg.io",
    }
    assert find_login([logins], reference("reg.io/teams/app")) == {
        "username": "a",
        "password": "1",
        "serveraddress": "reg.io",
    }
    assert find_login([logins], reference("other.io/app")) is None


def test_docker_hub_is_known_by_its_old_address() -> None:
    logins = {"https://index.docker.io/v1/": {"auth": AUTH}}
    found = find_login([logins], reference("busybox"))
    assert found is not None
    assert (found["username"], found["serveraddress"]) == ("me", "https://index.docker.io/v1/")
    assert json.loads(base64.urlsafe_b64decode(header(found)))["password"] == "pass:word"


@pytest.mark.parametrize(
    "data", [{}, {".dockerconfigjson": "!"}, {".dockerconfigjson": "W10="}, {".dockercfg": "MQ=="}]
)
def test_an_invalid_secret_has_no_logins(data: Json) -> None:
    assert secret_logins({"data": data}) == {}


async def test_a_helper_is_asked_for_its_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-mine"
    helper.write_text('#!/bin/sh\nread server; echo "{\\"Username\\": \\"me\\", \\"Secret\\": \\"for $server\\"}"\n')
    helper.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"credHelpers": {"reg.io": "mine"}, "auths": {"b.io": {"auth": AUTH}}}))
    asked = await stored_login([tmp_path / "none.json", config], reference("reg.io/app"))
    assert asked == {"username": "me", "password": "for reg.io", "serveraddress": "reg.io"}
    stored = await stored_login([config], reference("b.io/app"))
    assert stored is not None
    assert stored["username"] == "me"
    assert await stored_login([config], reference("c.io/app")) is None
