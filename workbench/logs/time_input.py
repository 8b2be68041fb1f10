"""The moment that somebody means by a few characters, near a time that is known. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?")
_AFTER = re.compile(r"\+(\d+(?:\.\d+)?)\s*(s|m|h)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_moment(text: str, first: datetime) -> datetime | None:
    """`14:05`, `14:05:30.5` on the day of `first` in its zone (or the next day, if it is earlier by more than a
    moment), or `+90`, `+5m` after it; None for what is neither."""
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
    # A log that began shortly before midnight goes on after it.
    return meant + timedelta(days=1) if first - meant > timedelta(hours=12) else meant
