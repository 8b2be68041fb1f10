"""Where engines are looked for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from embedded.kubelet.runtime.engine.connection.address import AddressError, Engine, EngineAddress, candidates
from embedded.kubelet.runtime.engine.connection.info import describe


@pytest.mark.parametrize(
    "text", ["unix:///run/x.sock", "tcp://127.0.0.1:2375", "tcp://[::1]:1", "tcp://h:2376?certificates=/a%20b/%3F"]
)
def test_an_address_is_a_socket_or_a_port(text: str) -> None:
    assert str(EngineAddress.parse(text)) == text


@pytest.mark.parametrize("text", ["ssh://host", "", "unix://", "tcp://host", "tcp://host:x", "http://[", "/run/x.sock"])
def test_another_address_is_refused_with_what_is_possible(text: str) -> None:
    with pytest.raises(AddressError, match="engine's address"):
        EngineAddress.parse(text)


def test_the_users_choice_is_the_only_candidate(tmp_path: Path) -> None:
    assert candidates("docker", {"DOCKER_HOST": "tcp://h:1"}, tmp_path, lambda _: True) == ["tcp://h:1"]
    meta = tmp_path / ".docker/contexts/meta/abc/meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": "mine", "Endpoints": {"docker": {"Host": "unix:///mine.sock"}}}))
    (tmp_path / ".docker/config.json").write_text('{"currentContext": "mine"}')
    assert candidates("docker", {}, tmp_path, lambda _: True) == ["unix:///mine.sock"]


def test_tls_is_used_as_the_command_line_program_does(tmp_path: Path) -> None:
    verified = {"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1"}
    assert candidates("docker", verified, Path("/home/me")) == ["tcp://h:1?certificates=/home/me/.docker"]
    (found,) = candidates("docker", verified | {"DOCKER_CERT_PATH": "/c d"}, tmp_path)
    assert EngineAddress.parse(found) == EngineAddress(host="h", port=1, certificates="/c d")
    assert candidates("docker", verified | {"DOCKER_HOST": "unix:///x.sock"}, tmp_path) == ["unix:///x.sock"]
    assert candidates("docker", verified | {"DOCKER_TLS_VERIFY": ""}, tmp_path) == ["tcp://h:1"]
    assert candidates("podman", verified | {"CONTAINER_HOST": "tcp://p:1"}, tmp_path) == ["tcp://p:1"]


def test_sockets_that_do_not_exist_are_no_candidates(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": "/run/user/7"}
    assert candidates("podman", environment, tmp_path, lambda path: path.startswith("/run/user/7")) == [
        "unix:///run/user/7/podman/podman.sock"
    ]
    assert candidates("docker", environment, tmp_path, lambda _: False) == []


@pytest.mark.parametrize(
    ("engine", "socket"),
    [
        ("docker", "/Users/me/.docker/run/docker.sock"),
        ("docker", "/Users/me/.colima/default/docker.sock"),
        ("docker", "/Users/me/.rd/docker.sock"),
        ("docker", "/Users/me/.orbstack/run/docker.sock"),
        ("podman", "/var/folders/x/T/podman/podman-machine-default-api.sock"),
        ("podman", "/Users/me/.local/share/containers/podman/machine/podman.sock"),
    ],
)
def test_engines_of_a_mac_are_found(engine: Engine, socket: str) -> None:
    """They are in virtual machines, whose sockets are in the user's folders; there is no XDG_RUNTIME_DIR."""
    environment = {"TMPDIR": "/var/folders/x/T/"}
    found = candidates(engine, environment, Path("/Users/me"), lambda path: os.path.normpath(path) == socket)
    assert [os.path.normpath(EngineAddress.parse(each).path) for each in found] == [socket]


def test_a_socket_in_a_common_folder_is_no_candidate() -> None:
    found = candidates("podman", {"TMPDIR": "/tmp", "XDG_RUNTIME_DIR": "/run/user/7"}, Path("/home/me"), lambda _: True)
    assert found
    assert not any("/tmp" in each for each in found)


def test_engines_are_told_apart_and_the_api_is_one_that_both_sides_know() -> None:
    old = describe({"Version": "20.10", "ApiVersion": "1.41", "MinAPIVersion": "1.12"})
    assert (old.runtime_version, old.api) == ("docker://20.10", "1.41")
    assert describe({"Version": "30", "ApiVersion": "1.99", "MinAPIVersion": "1.60"}).api == "1.60"
    assert describe({"Version": "29", "ApiVersion": "1.55", "MinAPIVersion": "1.44"}).api == "1.51"
    components = [{"Name": "Podman Engine", "Version": "5.1"}]
    assert describe({"Version": "5.1", "ApiVersion": "1.41", "Components": components}).name == "podman"
