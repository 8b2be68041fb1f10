"""What is in an unpacked source: a fingerprint of each entry, by the gzip members of the archive that it came from.

A working tree is packed as many members, of which a change affects one or two. Those that are the same bytes as in an
earlier archive hold the same entries, so that only the others have to be decompressed to compare the two.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zlib

from ..archive.tar_stream import BLOCK, DIRECTORY, SYMLINK, Member, TarReader
from ..archive.unpack import check_member
from ..errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_CHUNK_SIZE = 64 * 1024
_HEAD_SIZE = 64
MAX_ENTRIES = 60_000
"""Of an archive that is indexed: comparing larger ones takes too long."""
_MAX_CANDIDATES = 8
"""Members of equal beginning that are tried at one position."""


class UnsuitableError(AgentError):
    """The entries of an archive depend on each other, or can't be told apart on this machine."""


class IndexedMember:
    """A gzip member: its size in bytes (0 for the last one, which is never compared), digest, content and entries."""

    __slots__ = ("content", "entries", "head", "sha256", "size")

    def __init__(self, size: int, head: int, sha256: str, content: int, entries: list[tuple[str, str]]) -> None:
        self.size = size
        self.head = head
        """The CRC of its first bytes."""
        self.sha256 = sha256
        self.content = content
        """Bytes of its files together."""
        self.entries = entries
        """Path and fingerprint of each entry; the one of a folder has the path of a folder without a slash."""


class TreeIndex:
    """All entries of an archive. Raises UnsuitableError unless their order is without effect."""

    def __init__(self, members: list[IndexedMember]) -> None:
        self.members = members
        self.entries = {path: fingerprint for member in members for path, fingerprint in member.entries}
        self.content = sum(member.content for member in members)
        self.folders = _folders_of(self.entries)
        """The folders that it makes, but for those that only entries of their own name."""
        if len(self.entries) != sum(len(member.entries) for member in members):
            raise UnsuitableError("the archive has several entries of one path")
        if any(not is_folder(self.entries.get(path, DIRECTORY)) for path in self.folders):
            raise UnsuitableError("the archive has an entry below a file")
        if sys.platform == "darwin":
            _check_names({*self.entries, *self.folders})

    def dump(self) -> bytes:
        """The index for a file."""
        rows = [[each.size, each.head, each.sha256, each.content, each.entries] for each in self.members]
        return json.dumps(rows, separators=(",", ":")).encode()


def load_index(data: bytes) -> TreeIndex:
    """Read what `dump` wrote. Raises ValueError, TypeError or AgentError for anything else."""
    rows: list[tuple[int, int, str, int, list[Any]]] = json.loads(data)
    return TreeIndex(
        [
            IndexedMember(size, head, sha256, content, [(path, fingerprint) for path, fingerprint in entries])
            for size, head, sha256, content, entries in rows
        ]
    )


def index_archive(
    file: int, size: int, max_bytes: int, known: TreeIndex | None = None
) -> tuple[TreeIndex, list[tuple[int, int]]]:
    """Index a tar.gz; the ranges (start and end) of the members that are not among the known ones come with it.

    `.git` is left out, as from a source.

    Args:
        file: the descriptor of a file that can be read at any position.
        max_bytes: of all files together.

    Raises:
        UnsuitableError: it is not such an archive.
        AgentError: the extractor would refuse it.
    """
    candidates: dict[int, list[IndexedMember]] = {}
    for member in known.members if known is not None else ():
        if member.size:
            candidates.setdefault(member.head, []).append(member)
    members: list[IndexedMember] = []
    ranges = []
    position = 0
    while position < size:
        head = zlib.crc32(os.pread(file, _HEAD_SIZE, position))
        found = _find_same(file, position, candidates.get(head, ()))
        end = position + found.size if found is not None else size
        if found is None:
            found = _read_member(file, position, head, max_bytes)
            end = position + found.size if found.size else size
            ranges.append((position, end))
        members.append(found)
        max_bytes -= found.content
        if max_bytes < 0:
            raise UnsuitableError("the archive is too large")
        position = end
    return TreeIndex(members), ranges


def is_folder(fingerprint: str) -> bool:
    """Whether this is the fingerprint of a folder."""
    return fingerprint.startswith(DIRECTORY)


def parents(path: str) -> Iterable[str]:
    """The folders above a path, the innermost first."""
    while (path := path.rpartition("/")[0]) != "":
        yield path


def _folders_of(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        for folder in parents(path):
            if folder in found:
                break
            found.add(folder)
    return found


def _check_names(paths: Iterable[str]) -> None:
    """File systems of macOS do not tell upper from lower case, nor composed letters from others."""
    seen = set()
    for path in paths:
        if not path.isascii() or path.lower() in seen:
            raise UnsuitableError("the archive has names that this system may not tell apart")
        seen.add(path.lower())


def _find_same(file: int, position: int, candidates: Iterable[IndexedMember]) -> IndexedMember | None:
    for number, member in enumerate(candidates):
        if number < _MAX_CANDIDATES and _hash(file, position, position + member.size) == member.sha256:
            return member
    return None


def _hash(file: int, position: int, end: int) -> str:
    digest = hashlib.sha256()
    while position < end and (chunk := os.pread(file, min(_CHUNK_SIZE, end - position), position)):
        digest.update(chunk)
        position += len(chunk)
    return digest.hexdigest()


def _read_member(file: int, position: int, head: int, max_bytes: int) -> IndexedMember:
    stream = _MemberStream(file, position, max_bytes)
    reader = TarReader(stream.read)
    entries: list[tuple[str, str]] = []
    content = 0
    for entry in reader.members():
        parts = check_member(entry)
        if parts and ".git" not in parts:
            content += entry.size
            if len(entries) >= MAX_ENTRIES:
                raise UnsuitableError(f"the archive has more than {MAX_ENTRIES} entries")
            entries.append(("/".join(parts), _fingerprint(entry, reader)))
    if reader.is_incomplete or (not reader.at_end_marker and stream.size % BLOCK):
        raise UnsuitableError("the archive has an entry in two members")
    if reader.at_end_marker:
        # What follows is of no effect, whatever it is.
        return IndexedMember(0, head, "", content, entries)
    end = stream.end
    return IndexedMember(end - position, head, _hash(file, position, end), content, entries)


def _fingerprint(entry: Member, reader: TarReader) -> str:
    if entry.type == SYMLINK:
        return f"{SYMLINK} {entry.target}"
    if entry.type == DIRECTORY:
        return f"{DIRECTORY} {entry.mode:o}"
    digest = hashlib.sha256()
    for chunk in reader.content():
        digest.update(chunk)
    return f"{entry.type} {entry.mode:o} {entry.mtime} {entry.size} {digest.hexdigest()}"


class _MemberStream:
    """The content of one gzip member; `end` is the position after it once all is read, `size` what was read so far."""

    def __init__(self, file: int, position: int, max_bytes: int) -> None:
        self._file = file
        self._next = position
        self._engine = zlib.decompressobj(31)
        self._content = b""
        self._at = 0
        # Room for headers and padding, but not endless.
        self._left = max_bytes + max_bytes // 4 + 1024 * 1024
        self.end = position
        self.size = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, b"" at the end."""
        while self._at >= len(self._content) and not self._engine.eof:
            self._content, self._at = self._inflate(), 0
        chunk = self._content[self._at : self._at + size]
        self._at += len(chunk)
        return chunk

    def _inflate(self) -> bytes:
        data = self._engine.unconsumed_tail
        if not data:
            data = os.pread(self._file, _CHUNK_SIZE, self._next)
            self._next += len(data)
            if not data:
                raise AgentError("the archive ends too early")
        try:
            content = self._engine.decompress(data, 4 * _CHUNK_SIZE)
        except zlib.error:
            raise UnsuitableError("the archive is not gzip all through") from None
        self._left -= len(content)
        self.size += len(content)
        if self._left < 0:
            raise UnsuitableError("the archive unpacks to more than is allowed")
        if self._engine.eof:
            self.end = self._next - len(self._engine.unused_data)
        return content
