"""Giving the disk back what the beginning of a file takes, without moving the rest: on Linux, where the disk can."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02


def punch_hole(descriptor: int, end: int) -> bool:
    """Free the bytes before `end`, which read as zeros from then on; False when that can't be done here."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    offset, length = ctypes.c_int64(0), ctypes.c_int64(end)
    # glibc and musl both give the 64-bit call this name.
    call = getattr(libc, "fallocate64", None) or libc.fallocate
    return bool(call(descriptor, _KEEP_SIZE | _PUNCH_HOLE, offset, length) == 0)


def disk_usage(path: Path) -> int:
    """The bytes that a file takes on the disk."""
    return path.stat().st_blocks * 512
