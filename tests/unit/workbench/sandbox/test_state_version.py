"""The folder of another version of c8s is refused with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.client.endpoint import SandboxError
from workbench.sandbox import state_version
from workbench.sandbox.paths import SandboxPaths
from workbench.sandbox.state_version import STATE_VERSION, check_state_version


@pytest.fixture
def folder(tmp_path: Path) -> SandboxPaths:
    folder = SandboxPaths.named("mine", tmp_path)
    folder.create()
    return folder


def test_version_of_a_folder_without_one_is_recorded(folder: SandboxPaths) -> None:
    check_state_version(folder)
    check_state_version(folder)
    assert folder.version_file.read_text() == f"{STATE_VERSION}\n"


def test_folder_of_a_newer_version_is_refused(folder: SandboxPaths) -> None:
    folder.version_file.write_text("99\n")
    with pytest.raises(SandboxError, match=r"written by a newer c8s .state version 99.*c8s down --delete --name mine"):
        check_state_version(folder)
    assert folder.version_file.read_text() == "99\n"


def test_folder_of_an_older_version_is_refused(folder: SandboxPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    check_state_version(folder)
    monkeypatch.setattr(state_version, "OLDEST_STATE_VERSION", STATE_VERSION + 1)
    with pytest.raises(SandboxError, match=r"written by an older c8s .*c8s down --delete --name mine"):
        check_state_version(folder)


@pytest.mark.parametrize("content", [b"", b"x", b"1.0", b"9" * 5000, b"\xff\xfe", b"\0"])
def test_file_without_a_version_is_refused(folder: SandboxPaths, content: bytes) -> None:
    folder.version_file.write_bytes(content)
    with pytest.raises(SandboxError, match="holds no version"):
        check_state_version(folder)
