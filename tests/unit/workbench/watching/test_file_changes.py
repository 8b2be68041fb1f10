"""Changes of files, as the system reports them: by the rules of the tree, and of editors."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.tools import are_tools_required
from workbench.submit.repository import WorktreeError
from workbench.watching import file_changes
from workbench.watching.file_changes import FileChanges, is_editors


@pytest.mark.parametrize(
    "name",
    [".app.py.swp", "src/.app.py.swx", "4913", "app.py~", ".#app.py", "#app.py#", "a.py___jb_tmp___", ".DS_Store"],
)
def test_files_that_editors_make_for_themselves(name: str) -> None:
    assert is_editors(name)


@pytest.mark.parametrize("name", ["app.py", "a.swp.md", "49130", "~/x", "#", "src/tmp", ".env", "C#", "a#b"])
def test_other_files(name: str) -> None:
    assert not is_editors(name)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("1")
    (tmp_path / ".gitignore").write_text("*.log\nnode_modules/\n!keep.log\n")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "empty").mkdir()
    return tmp_path


class Watched:
    """A running watch; names of changed files are collected."""

    def __init__(self, changes: FileChanges) -> None:
        self._changes = changes
        self.names: set[str] = set()
        self._begun = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Watched:
        self._task = asyncio.create_task(self._collect())
        await self.until(lambda: self._begun > 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _collect(self) -> None:
        async with aclosing(self._changes.changes()) as groups:  # type: ignore[type-var]
            async for group in groups:
                self._begun += "." in group
                self.names |= group - {"."}

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(60):
            while not condition():
                assert self._task is not None
                if self._task.done():
                    await self._task
                await asyncio.sleep(0.01)

    async def until_named(self, *names: str) -> None:
        await self.until(lambda: set(names) <= self.names)

    async def until_begun_anew(self, act: Any) -> None:
        before = self._begun
        act()
        await self.until(lambda: self._begun > before)


needs_watchfiles = pytest.mark.skipif(
    importlib.util.find_spec("watchfiles") is None and not are_tools_required(), reason="watchfiles is not installed"
)


@needs_watchfiles
async def test_changes_of_the_tree_are_reported_and_others_are_not(tree: Path) -> None:
    async with Watched(FileChanges(tree, tree / ".c8s.yaml")) as watched:
        (tree / "build.log").write_text("1")
        (tree / "node_modules" / "x.js").write_text("1")
        (tree / "src" / ".app.py.swp").write_text("1")
        (tree / ".git" / "x").write_text("1")
        (tree / "keep.log").write_text("1")
        (tree / "src" / "app.py").write_text("2")
        (tree / "empty" / "new.py").write_text("1")
        await watched.until_named("src/app.py", "keep.log", "empty/new.py")
        assert watched.names == {"src/app.py", "keep.log", "empty/new.py"}


@needs_watchfiles
async def test_saving_by_renaming_is_a_change_of_the_file(tree: Path) -> None:
    async with Watched(FileChanges(tree, None)) as watched:
        new = tree / "src" / ".app.py.new~"
        new.write_text("2")
        new.rename(tree / "src" / "app.py")
        await watched.until_named("src/app.py")
        assert watched.names == {"src/app.py"}


@needs_watchfiles
async def test_new_and_deleted_folders_are_watched_anew(tree: Path) -> None:
    async with Watched(FileChanges(tree, None)) as watched:
        await watched.until_begun_anew(lambda: (tree / "new" / "deep").mkdir(parents=True))
        (tree / "new" / "deep" / "a.py").write_text("1")
        await watched.until_named("new/deep/a.py")
        await watched.until_begun_anew(lambda: shutil.rmtree(tree / "src"))
        await watched.until_begun_anew(lambda: (tree / "src").mkdir())
        watched.names.clear()
        (tree / "src" / "b.py").write_text("1")
        await watched.until_named("src/b.py")


@needs_watchfiles
async def test_pipeline_elsewhere_is_watched_too(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("elsewhere") / "ci.yaml"
    async with Watched(FileChanges(tree, file)) as watched:
        (file.parent / "other.yaml").write_text("1")
        file.write_text("1")
        await watched.until_named(str(file))
        assert watched.names == {str(file)}


async def test_files_are_polled_where_the_system_has_no_more_watches(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def watch(folders: frozenset[str], *, polling: bool) -> AsyncIterator[frozenset[str]]:
        if not polling:
            raise file_changes._LimitReachedError("limit reached")
        yield frozenset()
        yield frozenset((str(tree / "src" / "app.py"),))

    monkeypatch.setattr(file_changes, "_watch", watch)
    said: list[str] = []
    changes = FileChanges(tree, None, report=said.append).changes()
    assert [await anext(changes), await anext(changes)] == [frozenset((".",)), frozenset(("src/app.py",))]
    assert "limit reached" in said[0]
    assert "fs.inotify.max_user_watches" in said[0]


@pytest.mark.parametrize("error", [RuntimeError("too many open files"), OSError(28, "no space left on device")])
async def test_limits_of_the_system_are_recognized(
    tree: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def awatch(*paths: str, force_polling: bool, **options: Any) -> AsyncIterator[set[tuple[int, str]]]:
        if not force_polling:
            raise error
        yield set()

    monkeypatch.setitem(sys.modules, "watchfiles", SimpleNamespace(awatch=awatch))
    said: list[str] = []
    assert await anext(FileChanges(tree, None, report=said.append).changes()) == frozenset((".",))
    assert "fs.inotify.max_user_instances" in said[0]


async def test_tree_that_is_gone_ends_the_watch_with_a_reason(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def watch(folders: frozenset[str], *, polling: bool) -> AsyncIterator[frozenset[str]]:
        raise FileNotFoundError("No path was found")
        yield frozenset()

    monkeypatch.setattr(file_changes, "_watch", watch)
    monkeypatch.setattr(file_changes, "_RETRY_SECONDS", 0.0)
    with pytest.raises(WorktreeError, match="can't be watched"):
        await anext(FileChanges(tree, None).changes())
