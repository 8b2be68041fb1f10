"""Durations as pipelines write them: `30s`, `10m`, `2h`."""

from __future__ import annotations

import re

PATTERN = "^[0-9]+(s|m|h)$"
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> int:
    """The seconds in a duration.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(PATTERN[1:-1], text):
        raise ValueError(f"{text!r} is no duration: write a number and s, m or h, such as 10m")
    return int(text[:-1]) * _SECONDS[text[-1]]


def spoken(total: float) -> str:
    """`90.0` as `1m30s`; below ten seconds with a tenth."""
    if total < 10:
        return f"{total:.1f}s"
    whole = round(total)
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{secs}s" if secs else ""]
    return "".join(parts)
