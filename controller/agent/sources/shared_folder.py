"""The folder with sources that the agents of one machine have unpacked for each other: names and locks.

Only its owner can see it, and no container does. What is in it was unpacked from an archive whose digest was checked,
in a folder of another name that was renamed when it was complete.
"""

# ruff: noqa: PTH104, PTH110, PTH116, PTH118, PTH123, PTH208
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import contextmanager

from ..permissions import users_may_differ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

USE, UNPACK, MAKE, BUSY = "use.lock", "unpack.lock", "make.lock", "busy.lock"
"""A process that removes something holds `USE` alone; one that uses something shares it. `BUSY` is shared by agents
that unpack what a step waits for."""
_REMOVED = ".removed"
_VERSION = 1
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_BOOT_ID_COMMAND = ("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")


def tree_kind() -> str:
    """What else than the archive decides what is in a tree, as a part of its name: the permissions it was made with.

    Also this start of the machine: after a loss of power, files that were not yet on the disk are empty. Where that is
    not known, this process: nothing is shared then.
    """
    umask = os.umask(0o077)
    os.umask(umask)
    boot = "".join(character for character in _boot_id() if character.isalnum())[:12] or f"p{os.getpid()}"
    return f"v{_VERSION}-{boot}-{umask:03o}{'-open' if users_may_differ() else ''}"


def _boot_id() -> str:
    try:
        if sys.platform == "darwin":
            # Importing it takes time.
            import subprocess

            return subprocess.run(_BOOT_ID_COMMAND, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


@contextmanager
def lock(folder: str, name: str, *, alone: bool, wait: bool = True) -> Iterator[None]:
    """Hold a lock; BlockingIOError if it is not to be waited for. The kernel frees it with the process."""
    operation = (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB)
    file = os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, operation)
        yield
    finally:
        os.close(file)


@contextmanager
def before_others(folder: str | None) -> Iterator[None]:
    """Let the making of a spare copy wait meanwhile: both would take longer, at a slow disk much longer."""
    # Without the file, none was ever made.
    if folder is None or not os.path.exists(os.path.join(folder, BUSY)):
        yield
        return
    with lock(folder, BUSY, alone=False):
        yield


def give_way(folder: str) -> None:
    """Wait while an agent unpacks what a step waits for."""
    with lock(folder, BUSY, alone=True):
        return


def names_of(folder: str, ending: str) -> list[str]:
    """The names in the folder with this ending that belong to this user; none if there is no folder."""
    try:
        names = [name for name in os.listdir(folder) if name.endswith(ending)]
    except OSError:
        return []
    own = os.geteuid()
    return [name for name in names if _owner(os.path.join(folder, name)) == own]


def _owner(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_uid
    except OSError:
        return -1


def set_aside(folder: str, names: Iterable[str]) -> list[str]:
    """Rename what is to be removed, while nobody uses it: removing it takes longer. Returns the paths."""
    paths = []
    for name in names:
        path = os.path.join(folder, name)
        aside = path if name.endswith(_REMOVED) else f"{path}-{os.urandom(4).hex()}{_REMOVED}"
        if path != aside:
            os.rename(path, aside)
        paths.append(aside)
    return paths


def is_set_aside(name: str) -> bool:
    """Whether a name is that of something that someone began to remove."""
    return name.endswith(_REMOVED)


def remove_all(paths: Iterable[str]) -> None:
    """Remove folders with all that is in them."""
    import subprocess

    for path in paths:
        # The folders of an archive may be nested more deeply than Python's stack. Two may remove the same one.
        subprocess.run(["rm", "-rf", "--", path], check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
