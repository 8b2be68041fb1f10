"""Packs a whole workspace for debugging.

Unlike artifacts it does not have to be complete: what can't be packed is skipped and counted, and a file that changes
meanwhile is packed as it is read.
"""

# ruff: noqa: PTH123
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import os
import stat

from ..errors import AgentError, printable
from .pack import compress, relative_target
from .root_folder import FILE as FILE_KIND
from .root_folder import FOLDER, LINK, RootFolder
from .tar_stream import BLOCK, DIRECTORY, FILE, MAX_BYTES, MAX_ENTRIES, SYMLINK, Member, encode_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_CHUNK_SIZE = 256 * 1024
_MAX_REPORTED = 5


class TreeArchiver:
    """Archives one workspace; `pack` sets `files`, `skipped`, `size` in bytes and `sha256` in hex.

    Args:
        limit: the maximum size of the archive in bytes.
        max_bytes: the maximum size of all files together; `fetch` extracts no more.
    """

    def __init__(self, root: str, limit: int, max_bytes: int = MAX_BYTES, max_entries: int = MAX_ENTRIES) -> None:
        self._root = root
        self._limit = limit
        self._max_bytes = max_bytes
        self._max_entries = max_entries
        self._bytes = 0
        self._entries = 0
        self.files = 0
        self.skipped = 0
        self.size = 0
        self.sha256 = ""

    def pack(self, into: BinaryIO) -> None:
        """Write the archive. Raises AgentError beyond a limit."""
        self.size, self.sha256 = compress(self._chunks(), into, self._limit)

    def _chunks(self) -> Iterator[bytes]:
        with RootFolder(self._root) as root:
            left = [""]
            while left:
                folder = left.pop()
                for name, kind in self._list(root, folder):
                    path = folder + name
                    self._entries += 1
                    if self._entries > self._max_entries:
                        raise AgentError(f"it has more than {self._max_entries} files and folders")
                    try:
                        if kind == FOLDER:
                            yield self._folder(root, path)
                            left.append(f"{path}/")
                        elif kind == LINK:
                            yield self._link(root, path)
                        elif kind == FILE_KIND:
                            yield from self._file(root, path)
                        else:
                            self._skip(path, "it is not a file, folder or link")
                    except OSError as error:
                        self._skip(path, error.strerror or type(error).__name__)
        yield bytes(2 * BLOCK)

    def _list(self, root: RootFolder, folder: str) -> list[tuple[str, str]]:
        try:
            return root.list(folder)
        except OSError as error:
            if not folder:
                raise AgentError(f"it can't be read: {error.strerror}") from None
            self._skip(folder, error.strerror or type(error).__name__)
            return []

    def _folder(self, root: RootFolder, path: str) -> bytes:
        found = root.stat(path)
        return encode_header(Member(f"{path}/", DIRECTORY, 0, found.st_mode & 0o777, int(found.st_mtime), ""))

    def _link(self, root: RootFolder, path: str) -> bytes:
        target, found = relative_target(self._root, path, root.read_link(path)), root.stat(path)
        self.files += 1
        return encode_header(Member(path, SYMLINK, 0, 0o777, int(found.st_mtime), target))

    def _file(self, root: RootFolder, path: str) -> Iterator[bytes]:
        with open(root.open_file(path), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                self._skip(path, "it is no longer a file")
                return
            self._bytes += found.st_size
            if self._bytes > self._max_bytes:
                raise AgentError(f"its files have more than {self._max_bytes / 1024**3:g} GiB together")
            yield encode_header(Member(path, FILE, found.st_size, found.st_mode & 0o777, int(found.st_mtime), ""))
            yield from _content(file, found.st_size)
            yield bytes(-found.st_size % BLOCK)
        self.files += 1

    def _skip(self, path: str, reason: str) -> None:
        self.skipped += 1
        if self.skipped <= _MAX_REPORTED:
            print(f"workspace: skipped {printable(path)}: {reason}", flush=True)


def _content(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes of a file: zeros take the place of those that can't be read or were truncated meanwhile."""
    left = size
    while left:
        try:
            chunk = file.read(min(_CHUNK_SIZE, left))
        except OSError:
            chunk = b""
        if not chunk:
            break
        left -= len(chunk)
        yield chunk
    while left:
        chunk = bytes(min(_CHUNK_SIZE, left))
        left -= len(chunk)
        yield chunk
