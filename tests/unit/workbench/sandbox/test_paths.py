"""The folder of a sandbox: its name, its files, its state."""

from __future__ import annotations

import json
import os
import ssl
import stat
from dataclasses import asdict
from pathlib import Path

import pytest

from workbench.sandbox import SandboxError, credentials
from workbench.sandbox.paths import ChildProcess, SandboxPaths, SandboxState, read_state, write_state


@pytest.mark.parametrize("name", ["default", "a", "my-team-2", "x" * 32])
def test_valid_name_becomes_a_folder(tmp_path: Path, name: str) -> None:
    assert SandboxPaths.named(name, tmp_path).root == tmp_path / name


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a-", "x" * 33, "a b", "a\n", "é"])
def test_invalid_name_error_states_the_rule(tmp_path: Path, name: str) -> None:
    with pytest.raises(SandboxError, match="lower-case letters"):
        SandboxPaths.named(name, tmp_path)


def test_sandbox_files_are_private(tmp_path: Path) -> None:
    folder = SandboxPaths.named("mine", tmp_path / "state")
    folder.create()
    credentials.issue_credentials(folder, "http://127.0.0.1:1")
    assert any(path.is_file() for path in folder.root.rglob("*"))
    for path in folder.root.rglob("*"):
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == allowed, path


def test_uncreatable_folder_error_names_it(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(SandboxError, match=r"state/default: .* directory; \$XDG_STATE_HOME can name another place"):
        SandboxPaths.named("default", tmp_path / "state").create()


def test_deeply_nested_sandbox_folder_is_deleted(tmp_path: Path) -> None:
    folder = SandboxPaths.named("mine", tmp_path / "state")
    folder.create()
    current = os.open(folder.root, os.O_RDONLY)
    for _ in range(1_200):
        os.mkdir("nested", dir_fd=current)
        below = os.open("nested", os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = below
    os.close(current)
    folder.delete()
    assert not folder.root.exists()


def test_state_file_round_trip(tmp_path: Path) -> None:
    folder = SandboxPaths.named("default", tmp_path)
    folder.create()
    state = SandboxState(
        7, "1.0", "2026-01-01T00:00:00+00:00", 1234, 1235, {"cluster": ChildProcess(8, "99", 2, "signal 9")}
    )
    write_state(folder, state)
    assert read_state(folder) == state


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"children": 3}', '{"children": {}, "nonsense": 1}', "null"])
def test_invalid_state_file_is_ignored(tmp_path: Path, text: str) -> None:
    folder = SandboxPaths.named("default", tmp_path)
    folder.create()
    folder.state_file.write_text(text)
    assert read_state(folder) is None


def test_state_file_of_a_newer_version_is_read(tmp_path: Path) -> None:
    folder = SandboxPaths.named("default", tmp_path)
    folder.create()
    state = SandboxState(7, "1.0", "2026-01-01T00:00:00+00:00", 1234, 1235, {"cluster": ChildProcess(8, "99")})
    raw = asdict(state) | {"more": 1}
    raw["children"]["cluster"]["more"] = 2
    folder.state_file.write_text(json.dumps(raw))
    assert read_state(folder) == state


def test_each_start_has_new_tokens_but_the_same_key(tmp_path: Path) -> None:
    folder = SandboxPaths.named("default", tmp_path)
    folder.create()
    first = credentials.issue_credentials(folder, "http://127.0.0.1:1")
    tokens, key = first.token_auth_file.read_text(), first.agent_key.read_text()
    second = credentials.issue_credentials(folder, "http://127.0.0.1:1")
    assert not set(tokens.split(",")[:1]) & set(second.token_auth_file.read_text().split(",")[:1])
    assert second.agent_key.read_text() == key


@pytest.mark.parametrize("name", ["agent.key", "cluster.crt", "cluster.key"])
@pytest.mark.parametrize("content", [b"", b"x", b"\xff\xfe", b"-----BEGIN"])
def test_a_damaged_key_or_certificate_is_made_anew(tmp_path: Path, name: str, content: bytes) -> None:
    folder = SandboxPaths.named("default", tmp_path)
    folder.create()
    issued = credentials.issue_credentials(folder, "http://127.0.0.1:1")
    before = (folder.credentials / name).read_bytes()
    (folder.credentials / name).write_bytes(content)
    credentials.issue_credentials(folder, "http://127.0.0.1:1")
    assert len((folder.credentials / name).read_bytes()) >= len(before) - 8
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(issued.certificate, issued.private_key)
