"""What a container writes, byte for byte, and when each line began.

Beside each log lies an index: per line the offset of its first byte and the
moment it was read, as two 64-bit integers. Without it nobody could ask for the
last ten lines of a gigabyte, or for those since a given time.
"""

from __future__ import annotations

import asyncio
import bisect
import os
import struct
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

_ENTRY = struct.Struct("<qq")
_CHUNK = 256 * 1024


def index_path(log: Path) -> Path:
    return log.with_suffix(".index")


class LogFile:
    """A log that is being written, and tells those who follow it."""

    def __init__(self, path: Path, clock_ns: Callable[[], int]) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._log = os.open(path, flags, 0o600)
        self._index = os.open(index_path(path), flags, 0o600)
        self._clock_ns = clock_ns
        self._size = os.fstat(self._log).st_size
        self._at_line_start = True
        self._last_ns = 0
        self._waiters: set[asyncio.Event] = set()
        self.closed = False

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            OSError: the disk is full; nothing but this data is lost.
        """
        # Strictly increasing, so that a moment names one line.
        now = max(self._clock_ns(), self._last_ns + 1)
        entries = bytearray()
        position = 0 if self._at_line_start else data.find(b"\n") + 1
        if position or self._at_line_start:
            while position < len(data):
                entries += _ENTRY.pack(self._size + position, now)
                now += 1
                newline = data.find(b"\n", position)
                if newline < 0:
                    break
                position = newline + 1
        self._last_ns = now
        os.write(self._log, data)
        if entries:
            os.write(self._index, bytes(entries))
        self._size += len(data)
        self._at_line_start = data.endswith(b"\n")
        for waiter in self._waiters:
            waiter.set()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._log)
            os.close(self._index)
            for waiter in self._waiters:
                waiter.set()

    def subscribe(self) -> asyncio.Event:
        """An event that is set at each write and at the end."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        return waiter

    def unsubscribe(self, waiter: asyncio.Event) -> None:
        self._waiters.discard(waiter)


class _Index:
    """The index of a log, read as it grows."""

    def __init__(self, log: Path) -> None:
        self._file = index_path(log).open("rb")
        self.entries: list[tuple[int, int]] = []

    def refresh(self) -> None:
        data = self._file.read()
        whole = len(data) - len(data) % _ENTRY.size
        self._file.seek(whole - len(data), os.SEEK_CUR)
        self.entries.extend(_ENTRY.iter_unpack(data[:whole]))

    def close(self) -> None:
        self._file.close()


def stamp(nanoseconds: int) -> bytes:
    """RFC3339Nano in UTC, as a kubelet prefixes lines with."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{rest:09d}Z".encode()


async def read(
    path: Path,
    writer: LogFile | None,
    *,
    follow: bool,
    tail_lines: int | None,
    since_ns: int | None,
    timestamps: bool,
) -> AsyncGenerator[bytes, None]:
    """The log in chunks. `writer` is who still writes it, if anybody does; with `follow` they are waited for."""
    index = _Index(path)
    waiter = writer.subscribe() if writer is not None and follow else None
    try:
        with path.open("rb") as file:
            index.refresh()
            line = _first_line(index.entries, tail_lines, since_ns)
            position = index.entries[line][0] if line < len(index.entries) else os.fstat(file.fileno()).st_size
            while True:
                # Asked before reading: what was written before the end is read before we stop.
                ended = waiter is None or writer is None or writer.closed
                if waiter is not None:
                    waiter.clear()
                if timestamps:
                    index.refresh()
                    upto = _whole_lines(file, index.entries, ended)
                    for chunk in _stamped(file, index.entries, line, upto):
                        yield chunk
                    line = max(line, upto)
                else:
                    file.seek(position)
                    while chunk := file.read(_CHUNK):
                        position += len(chunk)
                        yield chunk
                if ended or waiter is None:
                    return
                await waiter.wait()
    finally:
        index.close()
        if waiter is not None and writer is not None:
            writer.unsubscribe(waiter)


def _first_line(entries: list[tuple[int, int]], tail: int | None, since_ns: int | None) -> int:
    first = 0 if since_ns is None else bisect.bisect_left(entries, since_ns, key=lambda entry: entry[1])
    return first if tail is None else max(first, len(entries) - tail)


def _whole_lines(file: BinaryIO, entries: list[tuple[int, int]], ended: bool) -> int:
    """How many lines can be sent: the last one only with its newline, or when the log has ended."""
    if ended or not entries:
        return len(entries)
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - 1))
    return len(entries) if file.read(1) == b"\n" and size > entries[-1][0] else len(entries) - 1


def _stamped(file: BinaryIO, entries: list[tuple[int, int]], first: int, upto: int) -> Iterator[bytes]:
    """The lines with their moment in front, in chunks of a bounded size."""
    batch = bytearray()
    for line in range(first, upto):
        start, moment = entries[line]
        left = entries[line + 1][0] - start if line + 1 < len(entries) else os.fstat(file.fileno()).st_size - start
        batch += stamp(moment) + b" "
        file.seek(start)
        while left > 0 and (data := file.read(min(left, _CHUNK))):
            left -= len(data)
            batch += data
            if len(batch) >= _CHUNK:
                yield bytes(batch)
                batch.clear()
    if batch:
        yield bytes(batch)
