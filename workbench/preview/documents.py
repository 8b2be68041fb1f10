"""Text, JSON and Markdown as lines, and the first bytes of other files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO

from workbench.text.sanitize import sanitize_line

_BYTES_A_LINE, _MAX_BINARY = 16, 4_096
_MAX_JSON_CHARACTERS = 8 * 1024 * 1024
"""Characters of indented JSON: the indentation of deeply nested values needs many times their own size."""


def render_text(text: str) -> list[str]:
    """The lines of a text."""
    return text.removesuffix("\n").split("\n")


def render_json(text: str, max_lines: int) -> tuple[list[str] | None, str | None]:
    """Indented JSON and what is missing of it; no lines, and the reason, if it is not valid."""
    try:
        value = json.loads(text)
    except RecursionError:
        return None, "It is nested too deeply to be indented."
    except ValueError as error:
        return None, f"It is not valid JSON: {error}"
    pieces, size = [], 0
    try:
        for piece in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
            pieces.append(piece)
            size += len(piece)
            if size > _MAX_JSON_CHARACTERS:
                break
    except RecursionError:
        return None, "It is nested too deeply to be indented."
    # Characters that are no Unicode text, which JSON can escape, have no encoding.
    lines = "".join(pieces).encode(errors="replace").decode().split("\n")
    cut = size > _MAX_JSON_CHARACTERS or len(lines) > max_lines
    return lines[:max_lines], "Only its first part is shown." if cut else None


def render_markdown(text: str, width: int) -> list[str]:
    """Rendered Markdown. Links are not clickable: they lead where the document's author wants."""
    from rich.console import Console
    from rich.markdown import Markdown

    harmless = "\n".join(sanitize_line(line, colour=False) for line in text.split("\n"))
    output = StringIO()
    console = Console(
        file=output, width=max(width, 20), force_terminal=True, color_system="standard", legacy_windows=False,
        no_color=False,
    )  # fmt: skip
    console.print(Markdown(harmless, hyperlinks=False, code_theme="ansi_dark"))
    return [line.rstrip() for line in output.getvalue().removesuffix("\n").split("\n")]


def render_binary(start: bytes) -> Iterator[str]:
    """The first bytes in hexadecimal, as `xxd` shows them."""
    for at in range(0, min(len(start), _MAX_BINARY), _BYTES_A_LINE):
        part = start[at : at + _BYTES_A_LINE]
        pairs = " ".join(part[pair : pair + 2].hex() for pair in range(0, len(part), 2))
        shown = "".join(chr(each) if 0x20 <= each < 0x7F else "." for each in part)
        yield f"{at:08x}: {pairs:<39}  {shown}"
