"""Writes a container's log and its index (format: `embedded.kubelet.logs.files`), and wakes its followers."""

from __future__ import annotations

import asyncio
import bisect
import ctypes
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from embedded.kubelet.logs.files import DEFAULT_MAX_BYTES, ENTRY, LogFiles, LogStart, index_path

_log = logging.getLogger(__name__)

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
"""Flags of fallocate(2)."""


class LogWriter:
    """A log that is being written, and wakes its followers. Used by one event loop.

    Args:
        clock_ns: the time in nanoseconds since 1970.
        limit: bytes that are kept; about a quarter of it is dropped at a time.
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
        """Append output of the container.

        Raises:
            OSError: the disk is full; the end of this data is lost, nothing else.
        """
        first = 0 if self._at_line_start else data.find(b"\n") + 1
        line_begins = (self._at_line_start or first > 0) and first < len(data)
        try:
            if line_begins:
                now = max(self._clock_ns(), self._next_ns)
                os.write(self._index, ENTRY.pack(self._size + first, now))
                self._next_ns = now + data.count(b"\n", first) + 1
            self._append(data)
            if self._size - self.log_start.offset > self._limit:
                self._drop_oldest()
        finally:
            for waiter in self._waiters:
                waiter.set()

    def _drop_oldest(self) -> None:
        """Drop the oldest lines; of a line that is longer than the limit, its beginning."""
        start = self._find_new_start()
        start.save(self.path)
        self.log_start = start
        freed = punch_hole(self._log, start.offset) and punch_hole(self._index, start.entry * ENTRY.size)
        if not freed and not self._warned_unbounded:
            self._warned_unbounded = True
            _log.warning(
                "%s: this file system can't free the beginning of a file; the log keeps growing on disk", self.path
            )

    def _find_new_start(self) -> LogStart:
        """The first line that begins in the newest three quarters of the limit."""
        target = self._size - self._limit * 3 // 4
        files = LogFiles(self.path)
        try:
            numbers = range(files.entries)
            entry = bisect.bisect_left(numbers, target, lo=self.log_start.entry, key=lambda n: files.entry(n)[0])
            if entry < len(numbers):
                return LogStart(files.entry(entry)[0], entry)
            return LogStart(target, max(0, len(numbers) - 1))
        finally:
            files.close()

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
        """An event that is set at each write and when the log is closed."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        return waiter

    def unsubscribe(self, waiter: asyncio.Event) -> None:
        self._waiters.discard(waiter)


def punch_hole(descriptor: int, end: int) -> bool:
    """Free the disk space of the bytes before `end`, which then read as zeros.

    Returns:
        False if that is not possible here: it needs Linux and a file system with sparse files.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    offset, length = ctypes.c_int64(0), ctypes.c_int64(end)
    # glibc and musl both give the 64-bit call this name.
    call = getattr(libc, "fallocate64", None) or libc.fallocate
    return bool(call(descriptor, _KEEP_SIZE | _PUNCH_HOLE, offset, length) == 0)
