"""Where logs and artifacts are saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.session.downloads import downloads_folder
from workbench.session.view_state import workbench_folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def test_named_folder_is_used_and_created(tree: Path, tmp_path: Path) -> None:
    named = tmp_path / "got" / "here"
    assert downloads_folder(tree, {"XDG_DOWNLOAD_DIR": str(named)}) == named
    assert named.is_dir()


def test_folder_in_the_working_tree_is_not_used(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_downloads_dir", lambda: str(tree / "Downloads"))
    (tree / "Downloads").mkdir()
    folder = downloads_folder(tree, {"XDG_DOWNLOAD_DIR": str(tree / "got")})
    assert folder == workbench_folder() / "saved"
    assert not (tree / "got").exists()


def test_usual_folder_is_used_if_it_exists(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = tmp_path / "Downloads"
    monkeypatch.setattr("platformdirs.user_downloads_dir", lambda: str(usual))
    assert downloads_folder(tree, {}) == workbench_folder() / "saved"
    usual.mkdir()
    assert downloads_folder(tree, {}) == usual
