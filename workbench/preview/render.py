"""Decides what a file is, by its first bytes and its name, and renders it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.preview.archives import archive_format, list_archive
from workbench.preview.documents import render_binary, render_json, render_markdown, render_text
from workbench.preview.images import image_format, render_image
from workbench.text.format import format_size

_START_BYTES = 8_192
_MAX_TEXT_BYTES = 4 * 1024 * 1024
_MAX_MARKDOWN_BYTES = 128 * 1024
MAX_LINES = 50_000
_JSON_NAMES = (".json", ".sarif", ".ipynb", ".geojson")
_MARKDOWN_NAMES = (".md", ".markdown")


@dataclass(frozen=True)
class Preview:
    """What to show of a file. Only lines may have colours (SGR); they may have other control characters, too.

    Attributes:
        kind: what the file is, as `JSON` or `tar.gz archive, 12 files`.
        lines: at most `MAX_LINES`.
        note: what is not shown, and why.
        numbered: whether the lines have numbers.
    """

    kind: str
    lines: tuple[str, ...] = ()
    note: str | None = None
    numbered: bool = False


def render_preview(file: str, name: str, width: int, height: int, colours: bool = True) -> Preview:
    """Render a file for a terminal.

    Args:
        file: where the file is.
        name: its name as an artifact; only its ending matters.
        width: columns of the terminal.
        height: rows of the terminal; only images are fitted into them.
        colours: whether the terminal has colours and block characters, which images need.

    Raises:
        OSError: the file can't be read.
    """
    path = Path(file)
    size = path.stat().st_size
    with path.open("rb") as opened:
        start = opened.read(_START_BYTES)
    if not size:
        return Preview("empty file")
    if (image := image_format(start)) is not None:
        kind, lines, note = render_image(path, image, width, height, colours)
        return Preview(kind, tuple(lines), note)
    if (archive := archive_format(start)) is not None:
        kind, lines, note = list_archive(path, archive, MAX_LINES)
        return Preview(kind, tuple(lines), note)
    if not is_text(start):
        return Preview("binary file", tuple(render_binary(start)), "Only its first bytes are shown.")
    return _render_text_file(path, size, Path(name).suffix.lower(), width)


def _render_text_file(path: Path, size: int, suffix: str, width: int) -> Preview:
    with path.open("rb") as opened:
        text = opened.read(_MAX_TEXT_BYTES).decode(errors="replace")
    note = f"Only the first {format_size(_MAX_TEXT_BYTES)} are shown." if size > _MAX_TEXT_BYTES else None
    if suffix in _MARKDOWN_NAMES and size <= _MAX_MARKDOWN_BYTES:
        return Preview("Markdown", tuple(render_markdown(text, width)[:MAX_LINES]))
    if suffix in _JSON_NAMES and size <= _MAX_TEXT_BYTES:
        lines, problem = render_json(text, MAX_LINES)
        if lines is not None:
            return Preview("JSON", tuple(lines), problem, numbered=True)
        note = problem
    lines = render_text(text)
    if len(lines) > MAX_LINES:
        lines, note = lines[:MAX_LINES], f"Only the first {MAX_LINES:,} lines are shown."
    return Preview("text", tuple(lines), note, numbered=True)


def is_text(start: bytes) -> bool:
    """Whether the beginning of a file is UTF-8 text."""
    try:
        start.decode()
    except UnicodeDecodeError as error:
        # A character may be cut at the end of what was read.
        return len(start) >= _START_BYTES and error.start >= len(start) - 3 and b"\0" not in start
    return b"\0" not in start
