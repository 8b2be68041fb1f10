"""Makes text from pipelines safe to print on a terminal.

`controller.terminal_text` parses a line, and reduces it to printable text and its
colours (SGR); here it is measured in columns, shortened, and written again.
"""

from __future__ import annotations

import json
import unicodedata

from controller.terminal_text import LIMIT, PLAIN, RAW_LIMIT, Colour, Segment, Style, is_plain, parse_line
from workbench.text.width import cell_width, char_width

__all__ = [
    "LIMIT",
    "PLAIN",
    "Colour",
    "Segment",
    "Style",
    "escape_json_controls",
    "has_hidden_characters",
    "sanitize_label",
    "sanitize_line",
    "segments",
    "truncate",
    "truncate_middle",
]

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def sanitize_line(line: str, *, colour: bool, limit: int | None = RAW_LIMIT) -> str:
    """One line that is safe to print: with its colours if `colour`, reset at the end, and no other sequences.

    Text that a carriage return overwrites is removed, as on a terminal. Tabs become
    spaces. After `limit` characters, the rest is replaced by `…`.
    """
    if is_plain(line) and (limit is None or len(line) <= limit):
        return line
    pieces = segments(line, limit=limit)
    return "".join(_coloured(piece) if colour else piece.text for piece in pieces)


def sanitize_label(text: str, cells: int) -> str:
    """A name or a message as one plain line of at most `cells` columns, truncated with `…`."""
    return truncate(sanitize_line(" ".join(text.split("\n")), colour=False, limit=LIMIT), cells)


def has_hidden_characters(text: str) -> bool:
    """Whether the text has control or format characters, other than newlines and tabs, that a terminal may act on."""
    return not text.isprintable() and any(_is_hidden(char) for char in set(text))


def escape_json_controls(document: str) -> str:
    """A JSON document with such characters escaped: they are only within its strings."""
    if not has_hidden_characters(document):
        return document
    return "".join(json.dumps(char)[1:-1] if _is_hidden(char) else char for char in document)


def _is_hidden(char: str) -> bool:
    return char not in "\n\t" and unicodedata.category(char) in _HIDDEN_CATEGORIES


def truncate(text: str, cells: int) -> str:
    """Printable text in at most `cells` columns, truncated with `…`."""
    if cell_width(text) <= cells:
        return text
    if cells < 1:
        return ""
    remaining, end = cells - 1, 0
    for char in text:
        remaining -= char_width(char)
        if remaining < 0:
            break
        end += 1
    return text[:end] + "…"


def truncate_middle(text: str, cells: int) -> str:
    """Printable text in at most `cells` columns; what does not fit is left out in the middle.

    >>> truncate_middle("nightly-integration-tests-1234", 16)
    'nightly-i…s-1234'
    """
    width = cell_width(text)
    if width <= cells or cells < 4:
        return truncate(text, cells)
    tail, room = len(text), (cells - 1) * 2 // 5
    while tail and cell_width(text[tail - 1 :]) <= room:
        tail -= 1
    head = truncate(text, cells - cell_width(text[tail:]))
    return head + text[tail:]


def segments(line: str, *, limit: int | None = LIMIT) -> list[Segment]:
    """The sanitized line as segments of printable text with their styles; tabs are stops of the terminal's columns."""
    return parse_line(line, limit=limit, width=cell_width)


def _coloured(piece: Segment) -> str:
    return piece.text if piece.style == PLAIN else f"{piece.style.sgr()}{piece.text}\x1b[0m"
