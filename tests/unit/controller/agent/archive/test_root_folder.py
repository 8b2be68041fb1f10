"""What is read below a workspace is in it, whatever another process puts in the place of its folders meanwhile."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from controller.agent import globs
from controller.agent.archive import pack_tree
from controller.agent.archive.pack import pack
from controller.agent.archive.root_folder import FILE, FOLDER, LINK, OTHER, RootFolder
from controller.agent.errors import AgentError
from controller.agent.globs import collect
from controller.agent.transfer import caches

TOKEN = b"TOKEN"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "token").write_bytes(TOKEN)
    (outside / "deep").mkdir()
    (outside / "deep" / "token").write_bytes(TOKEN)
    made = tmp_path / "workspace"
    for name in ("out/a", "out/deep/token", "out/zz/token"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text("harmless")
    return made


def swap(folder: Path) -> None:
    """Replace a folder by a link to one outside, as a service may do at any time."""
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(folder.parents[1].parent / "outside")


class Swapping(RootFolder):
    """Replaces folders by links once one of these names has been listed."""

    def list(self, folder: str) -> list[tuple[str, str]]:
        found = super().list(folder)
        if folder == "out/":
            swap(Path(os.readlink(f"/proc/self/fd/{self._root}"), "out", "zz"))  # noqa: PTH115
        return found


def contents(archive: bytes) -> list[bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return [file.read() for member in tar if (file := tar.extractfile(member) if member.isreg() else None)]


@pytest.mark.parametrize("swapped", ["out/zz", "out"])
def test_folder_that_becomes_a_link_is_not_packed(root: Path, swapped: str) -> None:
    paths = collect(str(root), ["out/**"])
    swap(root / swapped)
    into = io.BytesIO()
    with pytest.raises(AgentError, match="can't be read"):
        pack(str(root), paths, into)


def test_folder_that_becomes_a_link_is_left_out_of_a_saved_workspace(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_tree, "RootFolder", Swapping)
    tree, into = pack_tree.TreeArchiver(str(root), 10**9), io.BytesIO()
    tree.pack(into)
    assert tree.skipped >= 1
    assert TOKEN not in contents(into.getvalue())


def test_folder_that_becomes_a_link_is_not_searched(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "RootFolder", Swapping)
    with pytest.raises(AgentError, match="out/zz/ can't be read"):
        collect(str(root), ["out/**"])


def test_folder_that_becomes_a_link_is_not_hashed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = collect(str(root), ["out/zz/token"])
    monkeypatch.setattr(caches, "collect", lambda *_: found)
    swap(root / "out" / "zz")
    with pytest.raises(OSError, match=r"directory|symbolic"):
        caches._hash_files(str(root), "out/zz/token")


def test_kinds_of_entries_are_distinguished(root: Path) -> None:
    (root / "link").symlink_to("out")
    (root / "file").write_text("x")
    os.mkfifo(root / "pipe")
    with RootFolder(str(root)) as folder:
        assert folder.list("") == [("file", FILE), ("link", LINK), ("out", FOLDER), ("pipe", OTHER)]


def test_paths_may_be_read_in_any_order(root: Path) -> None:
    with RootFolder(str(root)) as folder:
        for path in ("out/a", "out/deep/token", "out/zz/token", "out/deep/token", "out/a"):
            assert folder.stat(path).st_size == len("harmless")
        with pytest.raises(FileNotFoundError):
            folder.stat("out/deep/none/x")
        assert folder.list("out/deep") == [("token", FILE)]


def test_path_that_goes_up_is_refused(root: Path) -> None:
    with RootFolder(str(root)) as folder, pytest.raises(ValueError, match=r"\.\."):
        folder.open_file("out/../../outside/token")


def test_descriptors_are_closed(root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with RootFolder(str(root)) as folder:
        for path in ("out/deep/token", "out/zz/token"):
            folder.stat(path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
