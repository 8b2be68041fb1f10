"""Durations of pipelines, such as `30s`, `10m` or `2h`."""

from __future__ import annotations

import re

PATTERN = "^[0-9]+(s|m|h)$"
MAX_SECONDS = 365 * 24 * 3600
"""One year, the maximum of a timeout or a wait. Kubernetes stores deadlines as 32-bit numbers."""
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_FORM = re.compile("([0-9]{1,12})(s|m|h)", re.ASCII)


def parse_duration(text: str) -> int:
    """The seconds of a duration. Raises ValueError if the text is not a duration."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a duration: write a number and s, m or h, such as 10m")
    return int(found.group(1)) * _SECONDS[found.group(2)]


def format_duration(total: int) -> str:
    """Format seconds for a pipeline, in the largest unit without a fraction: 5400 as `90m`."""
    unit = "h" if total % 3600 == 0 else "m" if total % 60 == 0 else "s"
    return f"{total // _SECONDS[unit]}{unit}"


def humanize_duration(total: float) -> str:
    """Format seconds for messages: 90.0 as `1m30s`, below ten seconds with one decimal."""
    if total < 10:
        return f"{total:.1f}s"
    whole = round(total)
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{secs}s" if secs else ""]
    return "".join(parts)
