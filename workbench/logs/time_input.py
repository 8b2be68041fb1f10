"""Parses a time that the user types, relative to the first line of a log. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?")
_AFTER = re.compile(r"\+(\d+(?:\.\d+)?)\s*(s|m|h)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_moment(text: str, first: datetime) -> datetime | None:
    """The time of `14:05` or `14:05:30.5` near `first`, or of `+90` or `+5m` after it; None if invalid.

    A clock time is in the zone and on the day of `first`, or on the next day if it is more
    than twelve hours earlier.
    """
    text = text.strip()
    if after := _AFTER.fullmatch(text):
        try:
            return first + timedelta(seconds=float(after[1]) * _SECONDS[after[2] or "s"])
        except OverflowError:
            return None
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        return None
    hour, minute, second = (int(part or 0) for part in clock.group(1, 2, 3))
    if hour > 23 or minute > 59 or second > 59:
        return None
    micro = int((clock[4] or "0").ljust(6, "0"))
    meant = first.replace(hour=hour, minute=minute, second=second, microsecond=micro)
    # A log may continue after midnight.
    return meant + timedelta(days=1) if first - meant > timedelta(hours=12) else meant
