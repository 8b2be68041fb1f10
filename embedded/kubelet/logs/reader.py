"""Reads a container's log (format: `embedded.kubelet.logs.files`): the whole, its tail, or from a time on."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from embedded.kubelet.logs.files import LogFiles, LogStart
from embedded.kubelet.logs.writer import LogWriter

_CHUNK = 256 * 1024
_TIMESTAMPED_CHUNK = 16 * 1024
"""Smaller, because each line of it is handled: a chunk of empty lines must not block the event loop for long."""


@dataclass(frozen=True)
class LogRange:
    """A part of a log: the lines since a time, and of these the last ones."""

    tail_lines: int | None = None
    since_ns: int | None = None
    """Nanoseconds since 1970."""
    timestamps: bool = False
    """Put the time before each line."""


async def read_log(
    path: Path, writer: LogWriter | None, part: LogRange, *, follow: bool
) -> AsyncGenerator[bytes, None]:
    """The log in chunks.

    Args:
        writer: the log's writer while its container runs.
        follow: go on until the writer closes the log.
    """
    waiter = writer.subscribe() if writer is not None and follow else None
    reader = LogReader(path)
    try:
        position = reader.find_start(part)
        timestamps = TimestampWriter(reader, position) if part.timestamps else None
        size = _TIMESTAMPED_CHUNK if part.timestamps else _CHUNK
        while True:
            # Checked before reading: what was written before the close is read before the loop ends.
            closed = waiter is None or writer is None or writer.closed
            if waiter is not None:
                waiter.clear()
            while True:
                if (start := reader.clamp(position, writer)) != position:
                    position = start
                    if timestamps is not None:
                        timestamps.skip_to(position)
                if not (data := reader.pread(position, size)):
                    break
                position += len(data)
                yield data if timestamps is None else timestamps.add(data)
                # A long log and a fast client must not starve other tasks.
                await asyncio.sleep(0)
            if closed or waiter is None:
                return
            await waiter.wait()
    finally:
        reader.close()
        if waiter is not None and writer is not None:
            writer.unsubscribe(waiter)


def read_tail(path: Path, lines: int, limit: int) -> bytes:
    """The last lines of a finished log, at most `limit` bytes of them; empty if there is no log."""
    with suppress(OSError):
        reader = LogReader(path)
        try:
            start = max(reader.find_start(LogRange(tail_lines=lines)), reader.size - limit)
            return reader.pread(start, limit)
        finally:
            reader.close()
    return b""


class LogReader(LogFiles):
    """Finds lines in a log by time and by number; reads only what it needs."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.log_start = LogStart.load(path)

    def clamp(self, position: int, writer: LogWriter | None) -> int:
        """The position, or the start of the log if that is later: its writer may have dropped lines meanwhile."""
        if writer is not None:
            self.log_start = writer.log_start
        return max(position, self.log_start.offset)

    def find_start(self, part: LogRange) -> int:
        """The offset of the first line of a range."""
        position = self.log_start.offset if part.since_ns is None else self._since(part.since_ns)
        return position if part.tail_lines is None else max(position, self._tail(part.tail_lines))

    def _since(self, time_ns: int) -> int:
        """The offset of the first line that began at `time_ns` or later."""
        first = self.log_start.entry
        after = bisect.bisect_right(range(self.entries), time_ns, lo=first, key=lambda number: self.entry(number)[1])
        if after == first:
            return self.log_start.offset
        offset, entry_ns = self.entry(after - 1)
        if offset < self.log_start.offset:
            return self.log_start.offset
        end = self.entry(after)[0] if after < self.entries else self.size
        return self._skip_lines(offset, time_ns - entry_ns, end)

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
            newline = -1
            for _ in range(lines):
                newline = data.find(b"\n", newline + 1)
            return position + newline + 1
        return min(position, end)

    def _tail(self, lines: int) -> int:
        """The offset of the last `lines` lines; an unfinished last line counts as one."""
        size, first = self.size, self.log_start.offset
        if lines == 0 or size == first:
            return size
        # The newline that ends the log begins no line.
        position, missing = size - 1, lines
        while position > first:
            start = max(first, position - _CHUNK)
            data = self.pread(start, position - start)
            found = data.count(b"\n")
            if found < missing:
                missing -= found
                position = start
                continue
            newline = len(data)
            for _ in range(missing):
                newline = data.rfind(b"\n", 0, newline)
            return start + newline + 1
        return first


class TimestampWriter:
    """Puts the time at which a line began before it, in consecutive chunks of a log."""

    def __init__(self, reader: LogReader, position: int) -> None:
        self._reader = reader
        self._position = position
        self._line_start = True
        self._entry = max(0, bisect.bisect_right(range(reader.entries), position, key=lambda n: reader.entry(n)[0]) - 1)
        self._next_ns = 0
        self._next_entry: tuple[int, int] | None = None
        if reader.entries:
            offset, time_ns = reader.entry(self._entry)
            self._next_ns = time_ns + self._lines_between(offset, position)
        self._peek_next_entry()
        self._second, self._second_text = -1, b""

    def _lines_between(self, start: int, end: int) -> int:
        count, start = 0, max(start, self._reader.log_start.offset)
        while start < end and (data := self._reader.pread(start, min(_CHUNK, end - start))):
            count += data.count(b"\n")
            start += len(data)
        return count

    def _peek_next_entry(self) -> None:
        self._next_entry = None
        if self._entry + 1 < self._reader.entries:
            self._next_entry = self._reader.entry(self._entry + 1)

    def skip_to(self, position: int) -> None:
        """Go on at another position: the lines before it were dropped before they could be read."""
        self._position, self._line_start = position, True

    def add(self, data: bytes) -> bytes:
        if self._next_entry is None:
            self._peek_next_entry()
        out = []
        for line in _split_lines(data):
            if self._line_start:
                out.append(self._prefix(self._next_time()))
            out.append(line)
            self._position += len(line)
            self._line_start = line.endswith(b"\n")
        return b"".join(out)

    def _next_time(self) -> int:
        """The time of the line at the current position, in nanoseconds."""
        if self._position == 0 and self._reader.entries:
            self._entry, self._next_ns = 0, self._reader.entry(0)[1]
            self._peek_next_entry()
        while self._next_entry is not None and self._next_entry[0] <= self._position:
            self._entry, self._next_ns = self._entry + 1, self._next_entry[1]
            self._peek_next_entry()
        self._next_ns += 1
        return self._next_ns - 1

    def _prefix(self, nanoseconds: int) -> bytes:
        """RFC3339Nano in UTC and a space, as a kubelet writes it."""
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        if seconds != self._second:
            self._second, self._second_text = seconds, _format_second(seconds)
        return b"%s.%09dZ " % (self._second_text, rest)


def _format_second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def _split_lines(data: bytes) -> list[bytes]:
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
