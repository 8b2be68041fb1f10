"""Columns that text takes on a terminal, measured by Rich as Textual does, so that both agree.

Rich is imported for the first text that is not ASCII: most commands never need it.
"""

from __future__ import annotations


def cell_width(text: str) -> int:
    """The columns of a printable text."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def char_width(char: str) -> int:
    """The columns of a printable character: 0 for a combining mark, 2 for a wide one, else 1."""
    if char.isascii():
        return 1
    from rich.cells import get_character_cell_size

    return get_character_cell_size(char)
