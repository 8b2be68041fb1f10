"""What a page sends: JSON lists of a type and a value, as the terminal of textual-serve writes them. Untrusted."""

from __future__ import annotations

import json
from dataclasses import dataclass

MAX_BYTES = 1024 * 1024
"""The longest message: a text that is pasted."""
_MIN_SIZE, _MAX_SIZE = (10, 4), (500, 300)


@dataclass(frozen=True)
class Size:
    """Columns and rows of a terminal."""

    width: int
    height: int


@dataclass(frozen=True)
class Typed:
    """What the terminal sends for keys, the mouse and pasted text."""

    text: str


@dataclass(frozen=True)
class Focus:
    """The terminal has got or lost the focus."""

    has_focus: bool


@dataclass(frozen=True)
class Ping:
    """A question that is answered with the same text."""

    text: str


Message = Size | Typed | Focus | Ping


def parse_message(text: str) -> Message | None:
    """The message; None for what no page of ours sends."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not found:
        return None
    value = found[1] if len(found) > 1 else None
    match found[0]:
        case "stdin" if isinstance(value, str):
            return Typed(value)
        case "resize" if isinstance(value, dict):
            return parse_size(value.get("width"), value.get("height"))
        case "focus" | "blur" as kind:
            return Focus(kind == "focus")
        case "ping" if isinstance(value, str):
            return Ping(value[:40])
    return None


def parse_size(width: object, height: object) -> Size:
    """A size within what a workbench can be drawn in; 80x24 for what is none."""
    numbers = [_number(width, 80), _number(height, 24)]
    bounds = zip(numbers, _MIN_SIZE, _MAX_SIZE, strict=True)
    return Size(*(max(low, min(number, high)) for number, low, high in bounds))


def _number(value: object, default: int) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else default
