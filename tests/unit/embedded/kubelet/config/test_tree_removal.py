import os
from pathlib import Path

import pytest

from embedded.kubelet.config.tree_removal import remove_tree

_NESTED = 1_200
"""More levels than Python's stack has frames for."""


def _nest(folder: Path, levels: int) -> None:
    """Folders in folders, each with a file; the path of the innermost may be longer than a path can be."""
    current = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("nested", dir_fd=current)
        below = os.open("nested", os.O_RDONLY, dir_fd=current)
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=below))
        os.close(current)
        current = below
    os.close(current)


def test_deeply_nested_folders_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "volumes"
    folder.mkdir()
    _nest(folder, _NESTED)
    remove_tree(folder)
    assert not folder.exists()


def test_removal_handles_read_only_folders_and_keeps_targets(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    locked = tmp_path / "volumes" / "cache" / "module"
    locked.mkdir(parents=True)
    (locked / "file").write_text("x")
    (locked / "link").symlink_to(kept)
    for folder in (locked, locked.parent, tmp_path / "volumes"):
        folder.chmod(0o000 if folder == locked else 0o500)
    remove_tree(tmp_path / "volumes")
    assert not (tmp_path / "volumes").exists()
    assert (kept / "file").exists()


@pytest.mark.parametrize("target", ["kept", "missing"])
def test_removal_of_a_link_keeps_its_target(tmp_path: Path, target: str) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tmp_path / "volumes").symlink_to(tmp_path / target)
    remove_tree(tmp_path / "volumes")
    assert not (tmp_path / "volumes").is_symlink()
    assert (tmp_path / "kept" / "file").exists()


def test_removal_of_a_missing_folder_does_nothing(tmp_path: Path) -> None:
    remove_tree(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
