"""Packs the whole workspace as it was left, whatever is in it: for a person who wants to look around in there.

Other than artifacts, nothing in it was promised to anybody. So what can't be packed is left out and counted, and a
file that changes meanwhile is taken as it was found.
"""

# ruff: noqa: PTH115, PTH118, PTH123
# (pathlib would cost more to import than the whole of this work takes.)

from __future__ import annotations

import os
import stat

from ..errors import AgentError, printable
from .pack import compress
from .tar_stream import BLOCK, DIRECTORY, FILE, SYMLINK, Member, encode_header
from .unpack import MAX_BYTES, MAX_ENTRIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_CHUNK_SIZE = 256 * 1024
_MAX_REPORTED = 5


class TreeArchiver:
    """One workspace on its way into an archive: `size` in bytes and `sha256` in hex once it is packed.

    Args:
        limit: bytes that the archive may have.
        max_bytes: bytes that its files may have together; `fetch` unpacks no more.
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
        """Write the archive. Raises AgentError when it is beyond one of the caps."""
        self.size, self.sha256 = compress(self._chunks(), into, self._limit)

    def _chunks(self) -> Iterator[bytes]:
        left = [""]
        while left:
            folder = left.pop()
            for entry in self._list(folder):
                path = folder + entry.name
                self._entries += 1
                if self._entries > self._max_entries:
                    raise AgentError(f"it has more than {self._max_entries} files and folders")
                try:
                    if entry.is_dir(follow_symlinks=False):
                        found = entry.stat(follow_symlinks=False)
                        yield encode_header(
                            Member(f"{path}/", DIRECTORY, 0, found.st_mode & 0o777, int(found.st_mtime), "")
                        )
                        left.append(f"{path}/")
                    elif entry.is_symlink():
                        yield self._link(path)
                    elif entry.is_file(follow_symlinks=False):
                        yield from self._file(path)
                    else:
                        self._skip(path, "it is neither a file nor a folder nor a link")
                except OSError as problem:
                    self._skip(path, problem.strerror or type(problem).__name__)
        yield bytes(2 * BLOCK)

    def _list(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(os.path.join(self._root, folder)) as entries:
                return sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError as problem:
            if not folder:
                raise AgentError(f"it can't be read: {problem.strerror}") from None
            self._skip(folder, problem.strerror or type(problem).__name__)
            return []

    def _link(self, path: str) -> bytes:
        whole = os.path.join(self._root, path)
        target, found = os.readlink(whole), os.lstat(whole)
        if target == self._root or target.startswith(f"{self._root}/"):
            # It stays inside wherever the workspace is unpacked.
            target = os.path.relpath(target, os.path.dirname(whole))  # noqa: PTH120 - as above
        self.files += 1
        return encode_header(Member(path, SYMLINK, 0, 0o777, int(found.st_mtime), target))

    def _file(self, path: str) -> Iterator[bytes]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(os.path.join(self._root, path), flags), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                self._skip(path, "it is not a file any more")
                return
            self._bytes += found.st_size
            if self._bytes > self._max_bytes:
                raise AgentError(f"its files have more than {self._max_bytes / 1024**3:g} GiB together")
            yield encode_header(Member(path, FILE, found.st_size, found.st_mode & 0o777, int(found.st_mtime), ""))
            yield from _content(file, found.st_size)
            yield bytes(-found.st_size % BLOCK)
        self.files += 1

    def _skip(self, path: str, why: str) -> None:
        self.skipped += 1
        if self.skipped <= _MAX_REPORTED:
            print(f"workspace: left out {printable(path)}: {why}", flush=True)


def _content(file: BinaryIO, size: int) -> Iterator[bytes]:
    """So many bytes of a file; zeros for those that it lost, or that can't be read, since its size was announced."""
    left = size
    while left:
        try:
            piece = file.read(min(_CHUNK_SIZE, left))
        except OSError:
            piece = b""
        if not piece:
            break
        left -= len(piece)
        yield piece
    while left:
        piece = bytes(min(_CHUNK_SIZE, left))
        left -= len(piece)
        yield piece
