"""A step's log on disk with an index of its lines, so that a million lines cost the memory of their positions.

A face shows a window of it: whole logs are never in memory, and lines are decoded
when they are looked at. What is in a line is nobody's business here; see `text`.
"""

from __future__ import annotations

import os
import re
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

_UNKNOWN = -1
_BLOCK = 1024 * 1024


class LogFileError(Exception):
    """The log can't be kept on this machine's disk; the message says where and why."""


class LogFile:
    """Lines, appended in batches and read by position (from 0). 16 bytes of memory a line.

    The file has no name, so nothing of it is left behind, however we end.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        try:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise self._failed(error) from error
        self._ends = array("Q")
        self._times = array("q")

    def __len__(self) -> int:
        return len(self._ends)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._ends[-1] if self._ends else 0

    @property
    def memory(self) -> int:
        """Bytes that the index takes."""
        return sum(len(index) * index.itemsize for index in (self._ends, self._times))

    def append(self, lines: Sequence[str], times: Sequence[int | None] = ()) -> None:
        """Add lines, with the time of each in microseconds since 1970 where it is known.

        Raises:
            LogFileError: nothing was added.
        """
        encoded = [line.replace("\n", "␊").encode(errors="replace") for line in lines]
        data = memoryview(b"\n".join([*encoded, b""]))
        end = at = self.size
        try:
            while data:
                written = os.pwrite(self._file.fileno(), data, at)
                data, at = data[written:], at + written
        except OSError as error:
            raise self._failed(error) from error
        for line in encoded:
            end += len(line) + 1
            self._ends.append(end)
        known = [_UNKNOWN if time is None else time for time in times[: len(encoded)]]
        self._times.extend([*known, *[_UNKNOWN] * (len(encoded) - len(known))])

    def read(self, first: int, count: int, *, longest: int = 65_536) -> list[str]:
        """At most `count` lines from position `first`; of each the first `longest` bytes."""
        first, last = max(first, 0), min(first + count, len(self))
        return [self._line(at, longest) for at in range(first, last)]

    def time(self, position: int) -> int | None:
        """When the line was written, in microseconds since 1970."""
        time = self._times[position]
        return None if time == _UNKNOWN else time

    def find(self, pattern: re.Pattern[bytes], first: int = 0, last: int | None = None) -> Iterator[int]:
        """The positions from `first` up to `last` (without it: the end) of lines that hold the pattern."""
        last = len(self) if last is None else min(last, len(self))
        while first < last:
            start = self._start(first)
            until = max(first + 1, bisect_right(self._ends, start + _BLOCK, first, last))
            block = os.pread(self._file.fileno(), self._ends[until - 1] - start, start)
            found = -1
            for match in pattern.finditer(block):
                at = bisect_right(self._ends, start + match.start(), first, until)
                if at != found and at < until:
                    found = at
                    yield at
            first = until

    def _start(self, position: int) -> int:
        return self._ends[position - 1] if position else 0

    def _line(self, position: int, longest: int) -> str:
        start = self._start(position)
        data = os.pread(self._file.fileno(), min(self._ends[position] - 1 - start, longest), start)
        return data.decode(errors="replace")

    def _failed(self, error: OSError) -> LogFileError:
        why = error.strerror or str(error)
        return LogFileError(f"can't keep the log in {self._folder}: {why}. Free some space there or set TMPDIR.")
