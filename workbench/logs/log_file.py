"""A step's log in a file with an index of its lines, so that only line positions are in memory.

User interfaces show a window of it; lines are decoded when they are read. Lines are
not sanitized here; see `workbench.text.sanitize`.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO, Self

_UNKNOWN = -1
_BLOCK = 256 * 1024
_TIMES_AT_ONCE = 4096
"""Times that are looked through without a step of Python for each."""


class LogFileError(Exception):
    """The log cannot be stored on this machine's disk; the message says where and why."""


class LogFile:
    """Lines that are appended in batches and read by position (from 0). 16 bytes of memory a line.

    The file is unlinked, so that it disappears with the process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - closed by `close`
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
        """Bytes of all lines."""
        return self._start(len(self))

    @property
    def memory(self) -> int:
        """Bytes of memory that the index uses."""
        return sum(len(index) * index.itemsize for index in (self._ends, self._times))

    def parts(self) -> tuple[Path, IO[bytes], array[int], array[int]]:
        """The folder, the file, and the ends and times of all lines, for a reader of only some of them."""
        return self._folder, self._file, self._ends, self._times

    def append(self, lines: Sequence[str], times: Sequence[int | None] = ()) -> None:
        """Add lines, each with its time in microseconds since 1970, if known.

        Raises:
            LogFileError: nothing was added.
        """
        encoded = [line.replace("\n", "␊").encode(errors="replace") for line in lines]
        self._write(b"\n".join([*encoded, b""]), [len(line) + 1 for line in encoded], times)

    def extend(self, data: bytes, times: Sequence[int | None] = ()) -> None:
        """Add lines as bytes of whole lines, each with its newline.

        Raises:
            LogFileError: nothing was added.
        """
        if data and not data.endswith(b"\n"):
            raise ValueError("the last line has no newline")
        self._write(data, [len(line) + 1 for line in data.split(b"\n")[:-1]], times)

    def _write(self, data: bytes, sizes: list[int], times: Sequence[int | None]) -> None:
        rest, at = memoryview(data), self.size
        ends = accumulate(sizes, initial=at)
        try:
            while rest:
                written = os.pwrite(self._file.fileno(), rest, at)
                rest, at = rest[written:], at + written
        except OSError as error:
            raise self._failed(error) from error
        next(ends)
        known = array("q", (_UNKNOWN if time is None else time for time in times[: len(sizes)]))
        known.extend(array("q", [_UNKNOWN]) * (len(sizes) - len(known)))
        self._times.extend(known)
        # Last, because a line becomes visible to readers in other threads with its end.
        self._ends.extend(ends)

    def set_times(self, first: int, times: Iterable[int | None]) -> None:
        """Set the times of existing lines, from position `first`."""
        known = array("q", (_UNKNOWN if time is None else time for time in times))[: max(len(self) - first, 0)]
        self._times[first : first + len(known)] = known

    def read(self, first: int, count: int, *, max_bytes: int = 65_536) -> list[str]:
        """At most `count` lines from position `first`; of each the first `longest` bytes."""
        first, last = max(first, 0), min(first + count, len(self))
        return [self._line(at, max_bytes) for at in range(first, last)]

    def time(self, position: int) -> int | None:
        """When the line was written, in microseconds since 1970."""
        time = self._times[position]
        return None if time == _UNKNOWN else time

    @property
    def has_times(self) -> bool:
        """Whether any line has a time."""
        return self.first_at(0) is not None

    def first_at(self, moment: int) -> int | None:
        """The first line written at this time (microseconds since 1970) or later; None if all are earlier."""
        for first in range(0, len(self), _TIMES_AT_ONCE):
            times = self._times[first : min(first + _TIMES_AT_ONCE, len(self))]
            if max(times) >= moment:
                return first + next(at for at, time in enumerate(times) if time >= moment)
        return None

    def block(self, first: int, size: int = _BLOCK) -> tuple[bytes, int]:
        """The bytes of whole lines from position `first`, about `size` bytes, and the position after the last line.

        It may be called in another thread than the one that appends.
        """
        count = len(self)
        if first >= count:
            return b"", first
        start = self._start(first)
        until = max(first + 1, bisect_right(self._ends, start + size, first, count))
        return self._pread(self._ends[until - 1] - start, start), until

    def _start(self, position: int) -> int:
        return self._ends[position - 1] if position else 0

    def _line(self, position: int, longest: int) -> str:
        start = self._start(position)
        return self._pread(min(self._ends[position] - 1 - start, longest), start).decode(errors="replace")

    def _pread(self, size: int, start: int) -> bytes:
        try:
            return os.pread(self._file.fileno(), size, start)
        except OSError as error:
            why = error.strerror or str(error)
            raise LogFileError(f"can't read the log stored in {self._folder}: {why}. Open the run again.") from error

    def _failed(self, error: OSError) -> LogFileError:
        why = error.strerror or str(error)
        return LogFileError(f"can't store the log in {self._folder}: {why}. Free some space there or set TMPDIR.")
