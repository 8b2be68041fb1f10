"""Durations, ages and sizes as short text for tables and messages."""

from __future__ import annotations

import time

_AGE_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))


def format_duration(seconds: float | None) -> str:
    """`0.42s`, `12.3s`, `3m05s`, `2h07m`; `-` for None, which means that it did not happen."""
    if seconds is None:
        return "-"
    if seconds < 9.995:
        return f"{seconds:.2f}s"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def format_age(seconds: float) -> str:
    """The largest whole unit: `12s`, `5m`, `3h`, `2d`."""
    for size, unit in _AGE_UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def format_timestamp(microseconds: int | None) -> str:
    """A time in microseconds since 1970 as RFC 3339 in UTC; `-` if it is unknown."""
    if microseconds is None:
        return "-"
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:06}Z"


def format_size(size: int) -> str:
    """A number of bytes: `512 B`, `86 KiB`, `1.2 MiB`."""
    if size < 1024:
        return f"{size} B"
    if size < 1024**2:
        return f"{size / 1024:.0f} KiB"
    return f"{size / 1024**2:.1f} MiB" if size < 1024**3 else f"{size / 1024**3:.1f} GiB"


def plural(count: int, noun: str) -> str:
    """A number and its noun, in the plural unless the number is 1.

    >>> plural(1, "line"), plural(1200, "line")
    ('1 line', '1,200 lines')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
