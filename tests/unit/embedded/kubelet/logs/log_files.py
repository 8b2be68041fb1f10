"""Writes and reads whole logs for the tests of this folder."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from embedded.kubelet.logs.reader import LogRange, read_log
from embedded.kubelet.logs.writer import LogWriter

ALL = LogRange()
LIMIT = 64 * 1024


def write_log(path: Path, parts: list[bytes], step: int = 1000) -> bytes:
    """Write a log, `step` nanoseconds from one write to the next; the first at `step`."""
    ticks = count(step, step)
    log = LogWriter(path, lambda: next(ticks))
    for part in parts:
        log.write(part)
    log.close()
    return b"".join(parts)


async def read_all(path: Path, part: LogRange = ALL, log: LogWriter | None = None, *, follow: bool = False) -> bytes:
    return b"".join([chunk async for chunk in read_log(path, log, part, follow=follow)])


def split_lines(text: bytes) -> list[bytes]:
    pieces = text.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def write_long_log(path: Path) -> bytes:
    """A log beyond its limit, of lines that tell their number, a hundred at a time and a millisecond apart."""
    ticks = count(1_000_000, 1_000_000)
    log = LogWriter(path, lambda: next(ticks), LIMIT)
    parts = [b"".join(b"line %06d\n" % (100 * block + n) for n in range(100)) for block in range(500)]
    for part in parts:
        log.write(part)
    log.close()
    return b"".join(parts)
