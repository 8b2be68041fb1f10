"""Zip archives that may say anything of themselves, and a draft of one that is changed step by step."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from random import Random
from typing import Any


@dataclass(frozen=True)
class Entry:
    """An entry of an archive, and what its two headers say of it; None says the truth."""

    name: bytes
    content: bytes
    method: int = zlib.DEFLATED
    flags: int = 0
    extra: bytes = b""
    said_size: int | None = None
    said_packed: int | None = None
    said_sum: int | None = None
    said_offset: int | None = None
    local_name: bytes | None = None
    packed: bytes | None = None


def pack(entries: list[Entry], *, before: bytes = b"", behind: bytes = b"", end: dict[str, int] | None = None) -> bytes:
    """An archive of these entries, without the checks of `zipfile`."""
    body, directory = bytearray(before), bytearray()
    for each in entries:
        packed = each.packed if each.packed is not None else packed_content(each)
        total = zlib.crc32(each.content) if each.said_sum is None else each.said_sum
        sizes = (
            len(packed) if each.said_packed is None else each.said_packed,
            len(each.content) if each.said_size is None else each.said_size,
        )
        offset = len(body) if each.said_offset is None else each.said_offset
        local = each.name if each.local_name is None else each.local_name
        said = (20, each.flags, each.method, 0, 0x5C21, total, *sizes)
        body += (
            struct.pack("<4s5H3L2H", b"PK\x03\x04", *said, len(local), len(each.extra)) + local + each.extra + packed
        )
        directory += struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 20, *said, len(each.name), len(each.extra), 0, 0, 0, 0, offset
        )
        directory += each.name + each.extra
    record = {"here": len(entries), "entries": len(entries), "length": len(directory), "start": len(body)} | (end or {})
    tail = struct.pack(
        "<4s4H2LH",
        b"PK\x05\x06",
        0,
        0,
        record["here"] & 0xFFFF,
        record["entries"] & 0xFFFF,
        record["length"] & 0xFFFFFFFF,
        record["start"] & 0xFFFFFFFF,
        0,
    )
    return bytes(body + directory + tail + behind)


def packed_content(entry: Entry) -> bytes:
    if entry.method != zlib.DEFLATED:
        return entry.content
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return packer.compress(entry.content) + packer.flush()


@dataclass
class Draft:
    """A bundle while it is changed."""

    random: Random
    entries: list[Entry]
    before: bytes = b""
    behind: bytes = b""
    end: dict[str, int] | None = None
    done: tuple[str, ...] = ()

    def at(self, prefix: str = "", suffix: str = "") -> int:
        """The position of any entry with such a name."""
        fitting = [
            n
            for n, each in enumerate(self.entries)
            if each.name.startswith(prefix.encode()) and each.name.endswith(suffix.encode())
        ]
        return self.random.choice(fitting or list(range(len(self.entries))))

    def change(self, at: int, **values: Any) -> None:
        self.entries[at] = replace(self.entries[at], **values)

    def named(self, name: str) -> int:
        return next((n for n, each in enumerate(self.entries) if each.name == name.encode()), 0)
