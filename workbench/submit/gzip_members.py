"""Writes a gzip file of many members, each of which can be kept and written again without compressing it anew."""

from __future__ import annotations

import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import BinaryIO

from workbench.client.source_delta import ArchivePiece

_LEVEL = 1
# Magic, deflate, no flags, no time, "fastest", unknown system (RFC 1952).
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
_MAX_KEPT_BYTES = 128 * 1024 * 1024
"""Of all members that are kept, compressed and not."""


@dataclass(frozen=True)
class KeptMember:
    """A member as it was written.

    Attributes:
        data: the compressed member.
        parts: the uncompressed data, each part with whether it counts for the digest of the contents.
        manifest: name and checksum of its entries.
        files: number of entries.
    """

    data: bytes
    sha256: str
    parts: tuple[tuple[bytes, bool], ...]
    manifest: tuple[tuple[str, str], ...]
    files: int

    @property
    def size(self) -> int:
        return len(self.data) + sum(len(part) for part, _ in self.parts)


class MemberCache:
    """Members of the last archives of one tree, by what they were made of; those used last are kept."""

    def __init__(self, max_bytes: int = _MAX_KEPT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._members: OrderedDict[Hashable, KeptMember] = OrderedDict()

    def get(self, key: Hashable) -> KeptMember | None:
        found = self._members.get(key)
        if found is not None:
            self._members.move_to_end(key)
        return found

    def put(self, key: Hashable, member: KeptMember) -> None:
        self._members[key] = member
        self._bytes += member.size
        while self._bytes > self._max_bytes:
            _, oldest = self._members.popitem(last=False)
            self._bytes -= oldest.size


class MemberWriter:
    """Writes members to a file, and computes the digests of the file and of the contents.

    `counts` says whether what is written belongs to the contents, `checksum` is the CRC of what was written since it
    was set to 0.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.contents = hashlib.sha256()
        self.counts = True
        self.checksum = 0
        self.size = 0
        self.pieces: list[ArchivePiece] = []
        self._begin()

    def _begin(self) -> None:
        self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = 0
        self._length = 0
        self._start = self.size
        self._hash = hashlib.sha256()
        self._data: list[bytes] | None = []
        self._parts: list[tuple[bytes, bool]] = []

    def write(self, data: bytes, *, keep: bool = True) -> None:
        """Add data to the member; with `keep` False, `end` can't return it."""
        if self._length == 0:
            self._emit(_HEADER)
        self._crc = zlib.crc32(data, self._crc)
        self._length += len(data)
        if self.counts:
            self.contents.update(data)
            self.checksum = zlib.crc32(data, self.checksum)
        if not keep:
            self._data = None
        if self._data is not None:
            self._parts.append((data, self.counts))
        self._emit(self._deflate.compress(data))

    def end(self, manifest: tuple[tuple[str, str], ...] = (), files: int = 0) -> KeptMember | None:
        """End the member, if anything was written; what it is, if it can be written again."""
        if self._length == 0:
            return None
        tail = self._crc.to_bytes(4, "little") + (self._length & 0xFFFFFFFF).to_bytes(4, "little")
        self._emit(self._deflate.flush() + tail)
        sha256 = self._hash.hexdigest()
        self.pieces.append(ArchivePiece(sha256, self._start, self.size - self._start))
        kept = None
        if self._data is not None:
            kept = KeptMember(b"".join(self._data), sha256, tuple(self._parts), manifest, files)
        self._begin()
        return kept

    def write_again(self, member: KeptMember) -> None:
        """Write a whole member that was written before."""
        for part, counts in member.parts:
            if counts:
                self.contents.update(part)
        self.pieces.append(ArchivePiece(member.sha256, self.size, len(member.data)))
        self._file.write(member.data)
        self.digest.update(member.data)
        self.size += len(member.data)
        self._start = self.size

    def _emit(self, data: bytes) -> None:
        self._file.write(data)
        self.digest.update(data)
        self._hash.update(data)
        self.size += len(data)
        if self._data is not None:
            self._data.append(data)
