"""What a check of the host has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]

GIB = 1024**3


@dataclass(frozen=True)
class Finding:
    """The result of a check. `why` and `remedy` are sentences; `remedy` is empty if there is no problem."""

    check: str
    level: Level
    found: str
    why: str
    remedy: str = ""
