"""Reads values of any type as the one that is expected: a file of another system may have anything anywhere."""

from __future__ import annotations

import re
from typing import Any

from workbench.importer.source import SourceMap


def text(value: Any) -> str:
    """A scalar as it is written; empty for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.replace("\0", "") if isinstance(value, str) else ""


def texts(value: Any) -> list[str]:
    """A scalar or a list of scalars, with the lists in it in their place."""
    if isinstance(value, list):
        return [each for item in value for each in texts(item)]
    return [] if value is None or isinstance(value, dict) else [text(value)]


def table(value: Any) -> SourceMap:
    """A map; an empty one for anything else."""
    return value if isinstance(value, SourceMap) else SourceMap()


def items(value: Any) -> list[Any]:
    """A list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def tables(value: Any) -> list[SourceMap]:
    """The maps in a list."""
    return [item for item in items(value) if isinstance(item, SourceMap)]


def number(value: Any) -> int | None:
    """A whole number of at most 9 digits; None for anything else."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else None


def slug(name: str, maximum: int = 63) -> str:
    """A name in lower-case letters, digits and dashes; may be empty."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().encode("ascii", "ignore").decode()).strip("-")[:maximum].strip("-")


def variable(name: str) -> str:
    """A name of a shell variable in upper case."""
    made = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").upper()[:100]
    return made if made and not made[0].isdigit() else f"VALUE_{made}"


def seconds(duration: str) -> int | None:
    """A duration such as `90`, `1h30m`, `1h 30m` or `3 hours 15 minutes` in seconds; None if it is none."""
    if re.fullmatch(r"[0-9]{1,9}", duration.strip()):
        return int(duration)
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    parts = re.findall(r"([0-9]{1,6})(?:\.[0-9]{1,6})? ?([a-zA-Z]{1,10})", duration[:200])
    if not parts or any(unit[0].lower() not in units for _, unit in parts):
        return None
    return sum(int(count) * units[unit[0].lower()] for count, unit in parts)


def duration(total: int) -> str:
    """Seconds in the form of the pipeline file, at most a year."""
    total = max(1, min(total, 365 * 86400))
    if total % 3600 == 0:
        return f"{total // 3600}h"
    return f"{total // 60}m" if total % 60 == 0 else f"{total}s"
