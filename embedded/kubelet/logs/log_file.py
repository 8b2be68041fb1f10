"""What a container writes, byte for byte, and when each line began.

Beside each log lies an index. It has one entry per read from the container, not
per line: the offset of the first line that began in it, and the moment of the
read in nanoseconds. The lines after it in the same entry count on from there by
one nanosecond each, so every line of a log has a moment of its own, and a
program that prints millions of short lines costs no more than one that prints
long ones. A log that grows beyond its limit loses its oldest lines: their room on the
disk is given back, and all else stays where it is. This module does not know who
asks for a log, or which one is meant.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
import os
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from embedded.kubelet.logs import punch_hole

_log = logging.getLogger(__name__)

_ENTRY = struct.Struct("<qq")
_CHUNK = 256 * 1024
_TIMESTAMPED_CHUNK = 16 * 1024
"""Smaller, because each line of it is looked at: a chunk of empty lines must not hold the loop for long."""


def index_path(log: Path) -> Path:
    return log.with_suffix(".index")


DEFAULT_MAX_BYTES = 512 << 20


@dataclass(frozen=True)
class LogStart:
    """Where a log begins: what came before was dropped. `entry` is the first of the index that counts."""

    offset: int = 0
    entry: int = 0

    @classmethod
    def load(cls, log: Path) -> LogStart:
        with suppress(OSError, ValueError):
            offset, entry = log.with_suffix(".floor").read_text().split()
            return cls(int(offset), int(entry))
        return cls()

    def save(self, log: Path) -> None:
        """Write it down before what lies below it goes.

        Raises:
            OSError: the disk is full.
        """
        new = log.with_suffix(".floor.new")
        new.write_text(f"{self.offset} {self.entry}")
        new.replace(log.with_suffix(".floor"))


class LogWriter:
    """A log that is being written, and tells those who follow it. One event loop uses it.

    Args:
        clock_ns: nanoseconds since 1970.
        limit: bytes that are kept; a quarter more or less of it is dropped at a time.
    """

    def __init__(self, path: Path, clock_ns: Callable[[], int], limit: int = DEFAULT_MAX_BYTES) -> None:
        self._limit = limit
        self.log_start = LogStart()
        self.path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._log = os.open(path, flags, 0o600)
        self._index = os.open(index_path(path), flags, 0o600)
        self._clock_ns = clock_ns
        self._size = os.fstat(self._log).st_size
        self._at_line_start = True
        self._next_ns = 0
        self._waiters: set[asyncio.Event] = set()
        self._warned_unbounded = False
        self.closed = False

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            OSError: the disk is full; the end of this data is lost, nothing else.
        """
        first = 0 if self._at_line_start else data.find(b"\n") + 1
        begins = (self._at_line_start or first > 0) and first < len(data)
        try:
            if begins:
                now = max(self._clock_ns(), self._next_ns)
                os.write(self._index, _ENTRY.pack(self._size + first, now))
                self._next_ns = now + data.count(b"\n", first) + 1
            self._append(data)
            if self._size - self.log_start.offset > self._limit:
                self._drop_oldest()
        finally:
            for waiter in self._waiters:
                waiter.set()

    def _drop_oldest(self) -> None:
        """Let the oldest lines go; of a line that is longer than the limit, its beginning."""
        target = self._size - self._limit * 3 // 4
        reader = LogReader(self.path)
        try:
            numbers = range(reader.entries)
            entry = bisect.bisect_left(numbers, target, lo=self.log_start.entry, key=lambda n: reader.entry(n)[0])
            if entry < len(numbers):
                floor = LogStart(reader.entry(entry)[0], entry)
            else:
                floor = LogStart(target, max(0, len(numbers) - 1))
        finally:
            reader.close()
        floor.save(self.path)
        self.log_start = floor
        punched = punch_hole.punch_hole(self._log, floor.offset) and punch_hole.punch_hole(
            self._index, floor.entry * _ENTRY.size
        )
        if not punched and not self._warned_unbounded:
            self._warned_unbounded = True
            _log.warning("%s: this file system gives no room back: the log grows on", self.path)

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.write(self._log, view)
            self._size += written
            self._at_line_start = view[written - 1] == 0x0A
            view = view[written:]

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


@dataclass(frozen=True)
class LogRange:
    """Which part of a log is asked for: the lines since a moment, and of them the last so many."""

    tail_lines: int | None = None
    since_ns: int | None = None
    timestamps: bool = False


async def read_log(
    path: Path, writer: LogWriter | None, part: LogRange, *, follow: bool
) -> AsyncGenerator[bytes, None]:
    """The log in chunks. `writer` is who still writes it, if anybody does; with `follow` they are waited for."""
    waiter = writer.subscribe() if writer is not None and follow else None
    reader = LogReader(path)
    try:
        position = reader.find_start(part)
        stamper = TimestampWriter(reader, position) if part.timestamps else None
        size = _TIMESTAMPED_CHUNK if part.timestamps else _CHUNK
        while True:
            # Asked before reading: what was written before the end is read before we stop.
            ended = waiter is None or writer is None or writer.closed
            if waiter is not None:
                waiter.clear()
            while True:
                if (begins := reader.clamp(position, writer)) != position:
                    position = begins
                    if stamper is not None:
                        stamper.skip_to(position)
                if not (data := reader.pread(position, size)):
                    break
                position += len(data)
                yield data if stamper is None else stamper.stamp(data)
                # A long log to a fast reader must not keep everybody else waiting.
                await asyncio.sleep(0)
            if ended or waiter is None:
                return
            await waiter.wait()
    finally:
        reader.close()
        if waiter is not None and writer is not None:
            writer.unsubscribe(waiter)


def _format_second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


class LogReader:
    """A log and its index on disk; both may grow meanwhile. Reads only what it is asked for."""

    def __init__(self, path: Path) -> None:
        self.log_start = LogStart.load(path)
        self._log = os.open(path, os.O_RDONLY)
        try:
            self._index = os.open(index_path(path), os.O_RDONLY)
        except OSError:
            os.close(self._log)
            raise

    def close(self) -> None:
        os.close(self._log)
        os.close(self._index)

    def pread(self, position: int, count: int) -> bytes:
        return os.pread(self._log, count, position)

    def clamp(self, position: int, writer: LogWriter | None) -> int:
        """The position, or where the log begins now if that is later: its writer may have dropped lines meanwhile."""
        if writer is not None:
            self.log_start = writer.log_start
        return max(position, self.log_start.offset)

    @property
    def size(self) -> int:
        return os.fstat(self._log).st_size

    @property
    def entries(self) -> int:
        return os.fstat(self._index).st_size // _ENTRY.size

    def entry(self, number: int) -> tuple[int, int]:
        """(offset, nanoseconds)."""
        offset, moment = _ENTRY.unpack(os.pread(self._index, _ENTRY.size, number * _ENTRY.size))
        return offset, moment

    def find_start(self, part: LogRange) -> int:
        """The offset of the first line that is asked for."""
        position = self.log_start.offset if part.since_ns is None else self._since(part.since_ns)
        return position if part.tail_lines is None else max(position, self._tail(part.tail_lines))

    def _since(self, moment: int) -> int:
        """The offset of the first line that began at `moment` or later."""
        first = self.log_start.entry
        after = bisect.bisect_right(range(self.entries), moment, lo=first, key=lambda number: self.entry(number)[1])
        if after == first:
            return self.log_start.offset
        offset, began = self.entry(after - 1)
        if offset < self.log_start.offset:
            return self.log_start.offset
        end = self.entry(after)[0] if after < self.entries else self.size
        return self._skip_lines(offset, moment - began, end)

    def _skip_lines(self, position: int, lines: int, end: int) -> int:
        """The offset behind `lines` lines from `position` on, at most `end`."""
        while lines > 0 and position < end:
            data = self.pread(position, min(_CHUNK, end - position))
            if not data:
                break
            found = data.count(b"\n")
            if found < lines:
                lines -= found
                position += len(data)
                continue
            at = -1
            for _ in range(lines):
                at = data.find(b"\n", at + 1)
            return position + at + 1
        return min(position, end)

    def _tail(self, lines: int) -> int:
        """The offset of the last `lines` lines; an unfinished last line counts as one."""
        size, floor = self.size, self.log_start.offset
        if lines == 0 or size == floor:
            return size
        # The newline that ends the log begins no line.
        position, wanted = size - 1, lines
        while position > floor:
            start = max(floor, position - _CHUNK)
            data = self.pread(start, position - start)
            found = data.count(b"\n")
            if found < wanted:
                wanted -= found
                position = start
                continue
            at = len(data)
            for _ in range(wanted):
                at = data.rfind(b"\n", 0, at)
            return start + at + 1
        return floor


class TimestampWriter:
    """Puts before each line the moment it began, in chunks as they are read one after the other."""

    def __init__(self, reader: LogReader, position: int) -> None:
        self._reader = reader
        self._position = position
        self._line_start = True
        self._entry = max(0, bisect.bisect_right(range(reader.entries), position, key=lambda n: reader.entry(n)[0]) - 1)
        self._next_ns = 0
        self._ahead: tuple[int, int] | None = None
        if reader.entries:
            offset, began = reader.entry(self._entry)
            self._next_ns = began + self._lines_between(offset, position)
        self._look_ahead()
        self._second, self._second_text = -1, b""

    def _lines_between(self, start: int, end: int) -> int:
        count, start = 0, max(start, self._reader.log_start.offset)
        while start < end and (data := self._reader.pread(start, min(_CHUNK, end - start))):
            count += data.count(b"\n")
            start += len(data)
        return count

    def _look_ahead(self) -> None:
        self._ahead = None
        if self._entry + 1 < self._reader.entries:
            self._ahead = self._reader.entry(self._entry + 1)

    def skip_to(self, position: int) -> None:
        """The lines before were dropped before they could be read."""
        self._position, self._line_start = position, True

    def stamp(self, data: bytes) -> bytes:
        if self._ahead is None:
            self._look_ahead()
        out = []
        for line in _split_lines(data):
            if self._line_start:
                out.append(self._prefix(self._moment()))
            out.append(line)
            self._position += len(line)
            self._line_start = line.endswith(b"\n")
        return b"".join(out)

    def _moment(self) -> int:
        """The moment of the line at the current position."""
        if self._position == 0 and self._reader.entries:
            self._entry, self._next_ns = 0, self._reader.entry(0)[1]
            self._look_ahead()
        while self._ahead is not None and self._ahead[0] <= self._position:
            self._entry, self._next_ns = self._entry + 1, self._ahead[1]
            self._look_ahead()
        self._next_ns += 1
        return self._next_ns - 1

    def _prefix(self, nanoseconds: int) -> bytes:
        """RFC3339Nano in UTC and a space, as a kubelet writes it."""
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        if seconds != self._second:
            self._second, self._second_text = seconds, _format_second(seconds)
        return b"%s.%09dZ " % (self._second_text, rest)


def _split_lines(data: bytes) -> list[bytes]:
    pieces = data.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def read_tail(path: Path, lines: int, limit: int) -> bytes:
    """The last lines of a finished log, at most `limit` bytes of them; nothing when there is no log."""
    with suppress(OSError):
        reader = LogReader(path)
        try:
            start = max(reader.find_start(LogRange(tail_lines=lines)), reader.size - limit)
            return reader.pread(start, limit)
        finally:
            reader.close()
    return b""
