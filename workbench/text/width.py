"""How many columns a text takes on a terminal: counted per character, as no joiners are left in it here."""

from __future__ import annotations

import unicodedata


def cell_width(text: str) -> int:
    """Columns of a printable text."""
    return len(text) if text.isascii() else sum(map(char_width, text))


def char_width(char: str) -> int:
    """0 for a mark that sits on the character before it, 2 for a wide one, else 1."""
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
