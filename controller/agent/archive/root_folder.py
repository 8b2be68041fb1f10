"""Reads below a folder that other processes may change meanwhile; no link ever leads out of it.

The containers of a step share its workspace with the agent, and a service still runs while the agent packs. It could
replace any folder of a path by a link to the agent's own files. So a path is opened one name at a time, each in the
folder that was opened before it, and never through a link.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

FOLDER, FILE, LINK, OTHER = "folder", "file", "link", "other"
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a named pipe must not wait for its writer.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class RootFolder:
    """A folder and what is below it, with a context manager that closes it; all methods raise OSError.

    Paths are relative, with `/`; "" is the folder itself.
    """

    def __init__(self, path: str) -> None:
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # The folder that was used last: consecutive paths are mostly in the same one.
        self._current: tuple[tuple[str, ...], int] = ((), self._root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._leave()
        os.close(self._root)

    def list(self, folder: str) -> list[tuple[str, str]]:
        """The names in a folder, each with its kind: FOLDER, FILE, LINK or OTHER; sorted by their bytes."""
        with os.scandir(self._open(_split(folder))) as entries:
            found = [(entry.name, _kind(entry)) for entry in entries]
        return sorted(found, key=lambda entry: os.fsencode(entry[0]))

    def stat(self, path: str) -> os.stat_result:
        """The status of a file, folder or link itself."""
        *parents, name = _split(path)
        return os.stat(name, dir_fd=self._open(tuple(parents)), follow_symlinks=False)

    def read_link(self, path: str) -> str:
        """The target of a link."""
        *parents, name = _split(path)
        return os.readlink(name, dir_fd=self._open(tuple(parents)))

    def open_file(self, path: str) -> int:
        """A descriptor to read a file; check that it is a regular file. The caller closes it."""
        *parents, name = _split(path)
        return os.open(name, _FILE_FLAGS, dir_fd=self._open(tuple(parents)))

    def _open(self, parts: tuple[str, ...]) -> int:
        """The descriptor of a folder, open until the next call."""
        current, folder = self._current
        if parts[: len(current)] != current:
            self._leave()
            current, folder = (), self._root
        for number in range(len(current), len(parts)):
            below = os.open(parts[number], _FOLDER_FLAGS, dir_fd=folder)
            if folder != self._root:
                os.close(folder)
            folder = below
            self._current = (parts[: number + 1], folder)
        return folder

    def _leave(self) -> None:
        (_, folder), self._current = self._current, ((), self._root)
        if folder != self._root:
            os.close(folder)


def _split(path: str) -> tuple[str, ...]:
    parts = tuple(part for part in path.split("/") if part)
    if ".." in parts:
        raise ValueError(f"the path {path!r} has '..' in it")
    return parts


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return LINK
    if entry.is_dir(follow_symlinks=False):
        return FOLDER
    return FILE if entry.is_file(follow_symlinks=False) else OTHER
