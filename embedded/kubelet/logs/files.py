"""A container's log on disk: what it wrote, byte for byte, and an index of when its lines began.

The index has one entry per read from the container, not per line: the offset of the first line that began in that
read, and the time of the read in nanoseconds. Each further line of the same read counts as one nanosecond later, so
every line has a time of its own, and a program that prints millions of short lines costs no more than one that prints
long ones. A log that outgrows its limit loses its oldest lines: their disk space is freed, offsets stay valid.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DEFAULT_MAX_BYTES = 512 << 20
"""Bytes that are kept of a log unless the settings say otherwise."""
ENTRY = struct.Struct("<qq")
"""An entry of the index: offset, nanoseconds since 1970."""


def log_path(folder: Path, container: str, restart: int) -> Path:
    """The log of one start of a container, in its pod's folder."""
    return folder / "logs" / container / f"{restart}.log"


def index_path(log: Path) -> Path:
    return log.with_suffix(".index")


@dataclass(frozen=True)
class LogStart:
    """Where the kept part of a log begins."""

    offset: int = 0
    entry: int = 0
    """The number of the first index entry that counts."""

    @classmethod
    def load(cls, log: Path) -> LogStart:
        with suppress(OSError, ValueError):
            offset, entry = log.with_suffix(".floor").read_text().split()
            return cls(int(offset), int(entry))
        return cls()

    def save(self, log: Path) -> None:
        """Store it, before the bytes in front of it are freed.

        Raises:
            OSError: the disk is full.
        """
        new = log.with_suffix(".floor.new")
        new.write_text(f"{self.offset} {self.entry}")
        new.replace(log.with_suffix(".floor"))


class LogFiles:
    """A log and its index, open for reading; both may grow meanwhile.

    Raises:
        OSError: there is no such log.
    """

    def __init__(self, path: Path) -> None:
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

    @property
    def size(self) -> int:
        return os.fstat(self._log).st_size

    @property
    def entries(self) -> int:
        """The number of index entries."""
        return os.fstat(self._index).st_size // ENTRY.size

    def entry(self, number: int) -> tuple[int, int]:
        """(offset, nanoseconds) of an index entry."""
        offset, nanoseconds = ENTRY.unpack(os.pread(self._index, ENTRY.size, number * ENTRY.size))
        return offset, nanoseconds
