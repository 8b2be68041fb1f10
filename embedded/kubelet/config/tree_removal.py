"""Removes a folder that a container may have filled with anything: read-only, nested deeply, or still being changed."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 40
"""Each level has one open descriptor and a few frames of the stack; folders below are moved up first."""


def remove_tree(folder: Path) -> None:
    """Remove a folder with its content; links are removed and not followed. Blocks.

    What can't be removed, such as another user's file in a world-writable folder, stays with the folders above it.
    """
    if folder.is_symlink():
        folder.unlink()
        return
    with suppress(OSError):
        if folder.is_dir():
            folder.chmod(stat.S_IRWXU)
            top = os.open(folder, _FOLDER_FLAGS)
            try:
                _TreeRemoval(top).run()
            finally:
                os.close(top)
        _unlocked_parent(folder)
        folder.rmdir()


class _TreeRemoval:
    """Empties the folder of a descriptor.

    `shutil.rmtree` calls itself for each level and keeps each level open: a thousand nested folders exceed Python's
    stack. Here a folder that is too deep is moved to the top, where another pass finds it.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._moved = 0

    def run(self) -> None:
        while True:
            before = self._moved
            self._empty(self._top, 0)
            if self._moved == before:
                return

    def _empty(self, folder: int, depth: int) -> None:
        with os.scandir(folder) as found:
            entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
        for name, is_folder in entries:
            with suppress(OSError):
                if is_folder:
                    self._remove_folder(folder, name, depth)
                else:
                    os.unlink(name, dir_fd=folder)

    def _remove_folder(self, parent: int, name: str, depth: int) -> None:
        folder = _open_unlocked(parent, name)
        try:
            if depth >= _MAX_DEPTH:
                os.rename(name, f"moved-{os.urandom(16).hex()}", src_dir_fd=parent, dst_dir_fd=self._top)
                self._moved += 1
                return
            self._empty(folder, depth + 1)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=parent)


def _open_unlocked(parent: int, name: str) -> int:
    """A descriptor of a folder that its owner may change from now on."""
    try:
        folder = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
    except PermissionError:
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise
        os.chmod(name, stat.S_IRWXU, dir_fd=parent)
        folder = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
    if os.fstat(folder).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        with suppress(OSError):
            os.fchmod(folder, stat.S_IRWXU)
    return folder


def _unlocked_parent(folder: Path) -> None:
    if not os.access(folder.parent, os.W_OK | os.X_OK):
        with suppress(OSError):
            folder.parent.chmod(stat.S_IRWXU)
