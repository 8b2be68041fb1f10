"""The disk that holds the sandboxes: whether it is full, while it is.

A sandbox on a full disk can't record what happens: it waits until there is space again. The user should see
why at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.sandbox.paths import state_root

_FULL_BYTES = 1 << 20
_ENOUGH_BYTES = 4 << 20
"""More than `_FULL_BYTES`, so that a disk at the limit is not reported as full again and again."""
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class FreeSpace:
    """What a file system has left. `files` is None where their number is not limited."""

    bytes: int
    files: int | None


def free_space(path: Path) -> FreeSpace | None:
    """The free space on the file system of a path, which need not exist; None if it can't be read."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    # File systems keep a reserve that only root may use.
    blocks, files = (found.f_bfree, found.f_ffree) if os.geteuid() == 0 else (found.f_bavail, found.f_favail)
    return FreeSpace(blocks * found.f_frsize, files if found.f_files else None)


def describe_full_disk(space: FreeSpace | None, folder: Path, *, was_full: bool = False) -> str | None:
    """A message if there is too little space, which explains other errors; else None.

    Args:
        was_full: whether the last message said so: then it takes more space to be no longer full.
    """
    if space is None:
        return None
    if space.files == 0:
        return f"the disk that holds {folder} is full (no more files): delete some"
    if space.bytes >= (_ENOUGH_BYTES if was_full else _FULL_BYTES):
        return None
    return f"the disk that holds {folder} is full ({space.bytes // 1024} KiB left): free some space"


class DiskMonitor:
    """Checks the disk of a folder; `problem` says that it is full, or is None."""

    def __init__(self, folder: Path, measure: Callable[[Path], FreeSpace | None] = free_space) -> None:
        self._folder, self._measure = folder, measure
        self.problem: str | None = None

    def check(self) -> bool:
        """Measure the disk; True if it has become full, or has space again."""
        was_full = self.problem is not None
        self.problem = describe_full_disk(self._measure(self._folder), self._folder, was_full=was_full)
        return was_full != (self.problem is not None)

    def message(self) -> str | None:
        """Measure the disk; a message while it is full."""
        self.check()
        return self.problem


@asynccontextmanager
async def report_full_disk(
    report: Callable[[str], None], monitor: DiskMonitor, *, interval: float = _POLL_SECONDS
) -> AsyncIterator[None]:
    """Report inside the `with` that the disk is full, when it becomes full, and when it has space again."""

    async def watch() -> None:
        while True:
            if monitor.check():
                report(monitor.problem or "the disk has space again")
            await asyncio.sleep(interval)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def sandbox_disk() -> DiskMonitor:
    """A monitor of the disk that holds all sandboxes."""
    return DiskMonitor(state_root())


def full_disk_message(folder: Path | None = None) -> str | None:
    """A message if the disk of a folder, by default that of all sandboxes, is full; else None."""
    folder = folder or state_root()
    return describe_full_disk(free_space(folder), folder)
