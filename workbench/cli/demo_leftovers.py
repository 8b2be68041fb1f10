"""What a demo makes for itself, and the removal of what one that was killed has left of that.

A demo holds a lock in each of its folders as long as it runs; the kernel releases it when the process ends. A folder
with a lock that nobody holds was left. What is to be kept loses the file of its lock, and is not looked at again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from workbench.sandbox.locks import FileLock
from workbench.sandbox.paths import SandboxPaths
from workbench.tour.project import TourProject

PREFIX = "c8s-demo-"
"""How the names of temporary folders begin."""
SANDBOX_PREFIX = "demo-"
"""How the names of sandboxes begin that belong to one demo."""
TOUR_SANDBOX = "demo"
"""The sandbox in a temporary folder."""
_LOCK = "demo.lock"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Mark a folder as that of this process within the block. It may be removed meanwhile, or kept by `keep`."""
    new = folder / f"{_LOCK}.new"
    lock = FileLock(new)
    lock.acquire()
    try:
        # Only now: a lock that nobody holds yet would be taken for one that was left.
        new.rename(folder / _LOCK)
        yield
    finally:
        lock.release()


def keep(folder: Path) -> None:
    """Leave a folder of a demo to the user."""
    (folder / _LOCK).unlink(missing_ok=True)


def _temporary_folders() -> Sequence[Path]:
    """The temporary folders of demos of this user, whether or not they run."""
    try:
        with os.scandir(tempfile.gettempdir()) as entries:
            found = [Path(each.path) for each in entries if each.name.startswith(PREFIX)]
    except OSError:
        return ()
    return sorted(filter(_is_own_folder, found))


def _is_own_folder(path: Path) -> bool:
    """Whether it is a folder of this user, and no link: others can write into the folder around it."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


class LeftoverSweep:
    """Removes what demos that were killed have left, in a thread, if there is any.

    Args:
        sample: of the project that tours make.
    """

    def __init__(self, sample: Path) -> None:
        self._sample = sample
        self._notes: list[str] = []
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin if a temporary folder was left."""
        if any(_is_left(folder) for folder in _temporary_folders()):
            self._thread = threading.Thread(target=self._work, name="leftovers", daemon=True)
            self._thread.start()

    def finish(self, timeout: float = 10.0) -> Sequence[str]:
        """Wait for the end, at most so many seconds. What the user should know."""
        if self._thread is not None:
            self._thread.join(timeout)
        return tuple(self._notes)

    def _work(self) -> None:
        self._notes += asyncio.run(remove_leftovers(self._sample))


async def remove_leftovers(sample: Path) -> Sequence[str]:
    """Remove the temporary folders and sandboxes of demos that were killed. What the user should know.

    Projects whose files the user has changed are kept.
    """
    from workbench.sandbox import SandboxError, Sandboxes

    notes: list[str] = []
    places = [(folder, Sandboxes(folder / "state" / "c8s"), TOUR_SANDBOX) for folder in _temporary_folders()]
    own = Sandboxes()
    places += [(own.folder(name).root, own, name) for name in own.list() if _is_of_demos(own.folder(name))]
    for folder, sandboxes, name in places:
        if not (folder / _LOCK).is_file():
            continue
        # Another demo that looks for leftovers passes over what is being removed.
        with FileLock(folder / _LOCK).try_lock() as is_left:
            if not is_left:
                continue
            try:
                await sandboxes.down(name, delete=True)
                notes += _remove_temporary(folder, sample) if name == TOUR_SANDBOX else ()
            except (SandboxError, OSError) as error:
                notes.append(f"{folder}, which a demo that was killed has left, can't be removed: {error}")
    return notes


def _is_of_demos(sandbox: SandboxPaths) -> bool:
    """Whether a sandbox has the name of one of a demo, and nobody else uses it."""
    is_used = sandbox.keep_marker.exists() or FileLock(sandbox.users_lock).held_elsewhere()
    return sandbox.name.startswith(SANDBOX_PREFIX) and not is_used


def _remove_temporary(folder: Path, sample: Path) -> Sequence[str]:
    project = TourProject(folder / sample.name, sample)
    if not project.own_changes():
        shutil.rmtree(folder)
        return ()
    keep(folder)
    shutil.rmtree(folder / "state", ignore_errors=True)
    return (f"{project.folder} is kept: it was left by a demo that was killed, and you have changed files",)


def _is_left(folder: Path) -> bool:
    return (folder / _LOCK).is_file() and not FileLock(folder / _LOCK).held_elsewhere()
