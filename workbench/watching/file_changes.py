"""Reports which files of a working tree change, by the tree's own rules: what an upload leaves out is not watched.

Only folders with files of the tree are watched, so that ignored ones such as `node_modules` cost nothing. A folder that
appears or disappears starts the watch anew.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.submit.git import open_git
from workbench.submit.repository import WorktreeError, repository_root
from workbench.submit.worktree import list_names

POLL_SECONDS = 1.0
"""Between two looks at the files where the system can't report changes."""
_STEP_MS = 50
"""Milliseconds without a further change after which those before are reported together."""
_MAX_STEP_MS = 500
_IDLE_MS = 200
"""Milliseconds without a change after which an empty group is reported."""
_TRIES, _RETRY_SECONDS = 5, 0.1
_TEMPORARY = re.compile(
    # Vim's swap and backup files and its test of a folder, Emacs' locks and backups, JetBrains', GNOME's and others.
    r"(\..*\.sw[a-z]|4913|.*~|\.#.*|#.*#|.*___jb_(tmp|old)___|\.goutputstream-.*|\.DS_Store|flycheck_.*|.*\.kate-swp|"
    r"\.~lock\..*#|.*\.tmp\.[0-9]+\.[0-9a-f]+)"
)


def is_editors(name: str) -> bool:
    """Whether a file is one that an editor makes for itself while a file is edited or saved."""
    return _TEMPORARY.fullmatch(name.rpartition("/")[2]) is not None


class _LimitReachedError(Exception):
    """The system has no more watches for files. The message is the system's."""


@dataclass
class FileChanges:
    """The changes below a folder, and of one more file that may lie elsewhere.

    Args:
        root: the root of the tree; None to watch the file only.
        file: the pipeline's file.
        report: called with a sentence when changes can't be reported by the system.
    """

    root: Path | None
    file: Path | None
    report: Callable[[str], None] = lambda _: None
    is_polling: bool = False
    _ignored: dict[str, bool] = field(default_factory=dict)

    async def changes(self) -> AsyncGenerator[frozenset[str], None]:
        """The names of changed files, relative to the root, in groups as they come; never an empty group.

        Each time when the watch has begun, or was begun anew, the group is the folder itself, `.`: what changed before
        is not known.

        Raises:
            WorktreeError: the files can't be listed or watched.
        """
        failures = 0
        while True:
            try:
                folders = await asyncio.to_thread(self._folders)
                async with aclosing(_watch(folders, polling=self.is_polling)) as groups:
                    has_begun = False
                    async for group in groups:
                        if not has_begun:
                            has_begun, failures = True, 0
                            yield frozenset((".",))
                        names = await asyncio.to_thread(self._relevant, group)
                        if names:
                            yield names
                        if await asyncio.to_thread(self._touches_folders, group, names, folders):
                            break
            except _LimitReachedError as error:
                if self.is_polling:
                    raise WorktreeError(f"the files can't be watched: {error}") from error
                self.is_polling = True
                self.report(_limit_message(str(error)))
            except FileNotFoundError as error:
                # A folder was deleted between being listed and being watched, or the root is gone.
                failures += 1
                if failures >= _TRIES:
                    raise WorktreeError(f"the files can't be watched: {error}") from error
                await asyncio.sleep(_RETRY_SECONDS * failures)

    def _folders(self) -> frozenset[str]:
        """The folders to watch: those with files of the tree, and empty ones. Raises FileNotFoundError."""
        found = {str(self.file.parent)} if self.file is not None else set[str]()
        if self.root is None:
            return frozenset(found)
        with_files = _folders_of(list_names(self.root))
        found.add(str(self.root))
        level = [""]
        while level:
            below = [f"{folder}{name}" for folder in level for name in _subfolders(f"{self.root}/{folder}")]
            others = [name for name in below if name not in with_files]
            ignored = self._find_ignored(others)
            level = [f"{name}/" for name in below if name not in ignored]
            found.update(f"{self.root}/{folder[:-1]}" for folder in level)
        return frozenset(found)

    def _touches_folders(self, paths: Collection[str], names: Collection[str], folders: frozenset[str]) -> bool:
        """Whether one of the watched folders was changed itself, or a folder of the tree was added."""
        if any(path in folders for path in paths):
            return True
        # The names may be no UTF-8.
        return any(os.path.isdir(f"{self.root}/{name}") for name in names)  # noqa: PTH112

    def _relevant(self, paths: Collection[str]) -> frozenset[str]:
        """The names of those files that belong to the tree, or are the pipeline's."""
        names = set()
        own = str(self.file) if self.file is not None else None
        prefix = f"{self.root}/" if self.root is not None else None
        for path in paths:
            if path == own:
                names.add(path.removeprefix(prefix) if prefix is not None else path)
            elif prefix is not None and path.startswith(prefix):
                name = path.removeprefix(prefix)
                if ".git" not in name.split("/") and not is_editors(name):
                    names.add(name)
        if any(name.endswith(".gitignore") for name in names):
            self._ignored.clear()
        return frozenset(names - self._find_ignored(names))

    def _find_ignored(self, names: Collection[str]) -> set[str]:
        """Those that git ignores. Without git, none is."""
        root = self.root
        if root is None or repository_root(root) is None:
            return set()
        unknown = [name for name in names if name not in self._ignored]
        if unknown:
            found = _ignored_by_git(root, unknown)
            self._ignored.update((name, name in found) for name in unknown)
        return {name for name in names if self._ignored[name]}


def _ignored_by_git(root: Path, names: Collection[str]) -> set[str]:
    given = b"".join(os.fsencode(name) + b"\0" for name in names)
    try:
        with open_git(root) as git:
            # A tracked file is not ignored, whatever the patterns say.
            output = git.read("check-ignore", "-z", "--stdin", "--verbose", "--non-matching", given=given)
    except WorktreeError:
        # It also fails for a file in a submodule, which has rules of its own: then nothing is left out.
        return set()
    fields = output.split(b"\0")
    rules = zip(fields[2::4], fields[3::4], strict=False)
    return {os.fsdecode(name) for pattern, name in rules if pattern and not pattern.startswith(b"!")}


def _folders_of(names: Collection[str]) -> set[str]:
    """All folders that these files are in."""
    found: set[str] = set()
    for name in names:
        folder = os.path.dirname(name)  # noqa: PTH120 - a name, not a file
        while folder and folder not in found:
            found.add(folder)
            folder = os.path.dirname(folder)  # noqa: PTH120
    return found


def _subfolders(folder: str) -> list[str]:
    """The names of the folders in a folder, without links and `.git`; none if it is gone."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name != ".git"]
    except OSError:
        return []


async def _watch(folders: frozenset[str], *, polling: bool) -> AsyncGenerator[frozenset[str], None]:
    """Groups of changed paths, also empty ones; the first one comes when the folders are being watched."""
    from watchfiles import awatch

    watch: Any = awatch(
        *sorted(folders),
        watch_filter=None,
        step=_STEP_MS,
        debounce=_MAX_STEP_MS,
        recursive=False,
        force_polling=polling,
        poll_delay_ms=int(POLL_SECONDS * 1000),
        rust_timeout=_IDLE_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    try:
        async with aclosing(watch) as groups:
            async for group in groups:
                yield frozenset(path for _, path in group)
    except FileNotFoundError:
        raise
    # The library raises a RuntimeError of its own where no instance of inotify is left.
    except (OSError, RuntimeError) as error:
        raise _LimitReachedError(str(error)) from error


def _limit_message(error: str) -> str:
    return (
        f"changes of files can't be reported by the system ({error}), so the files are looked at every "
        f"{POLL_SECONDS:g} s. The limits are fs.inotify.max_user_watches and fs.inotify.max_user_instances: "
        "`sudo sysctl fs.inotify.max_user_watches=524288` raises the first"
    )
