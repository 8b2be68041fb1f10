"""Lines of logs as HTML: printable text in the colours of the terminal, by class, and nothing that acts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from markupsafe import Markup, escape

from controller.logs import Line
from controller.terminal_text import PLAIN, Colour, Style, parse_line

_LEVELS = (0, 95, 135, 175, 215, 255)
_BASE = (
    (0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229),
    (127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255),
    (255, 255, 255),
)  # fmt: skip
_ROW = Markup(
    '<div id="L{number}"{marked}><a href="{base}?line={number}#L{number}">{number}</a><code>{text}</code></div>'
)
_PLAIN_ROW = Markup("<div><code>{}</code></div>")
_FAILING = Markup(' class="failing"')
_FLAGS = ("bold", "dim", "italic", "underline", "reverse", "strike")


@lru_cache(maxsize=2048)
def line_html(data: bytes) -> Markup:
    """The text of a line. Many readers follow the same lines, so that the last ones are kept."""
    pieces = []
    for text, style in parse_line(data.decode("utf-8", "replace")):
        classes = style_classes(style) if style != PLAIN else ""
        pieces.append(Markup('<span class="{}">{}</span>').format(classes, text) if classes else escape(text))
    return Markup("").join(pieces)


def rows_html(lines: Iterable[Line], base: str = "", failing: int | None = None, *, numbers: bool = True) -> Markup:
    """Lines, each with its number and an anchor `L<number>`; `base` is the page that a number links to.

    Args:
        failing: the line that explains the step's failure.
        numbers: whether the lines have numbers.
    """
    if not numbers:
        return Markup("").join(_PLAIN_ROW.format(line_html(line.data)) for line in lines)
    address = escape(base)
    rows = []
    for line in lines:
        marked = _FAILING if line.number == failing else Markup("")
        rows.append(_ROW.format(number=line.number, marked=marked, base=address, text=line_html(line.data)))
    return Markup("").join(rows)


def style_classes(style: Style) -> str:
    """The classes of the stylesheet for a style."""
    found = [name for name in _FLAGS if getattr(style, name)]
    if style.foreground is not None:
        found.append(f"f{basic_colour(style.foreground)}")
    if style.background is not None:
        found.append(f"b{basic_colour(style.background)}")
    return " ".join(found)


def basic_colour(colour: Colour) -> int:
    """The nearest of the 16 colours of a terminal: each has a class that is readable in light and dark."""
    if isinstance(colour, int):
        if colour < 16:
            return colour
        if colour < 232:
            cube = colour - 16
            colour = (_LEVELS[cube // 36], _LEVELS[cube // 6 % 6], _LEVELS[cube % 6])
        else:
            colour = (8 + 10 * (colour - 232),) * 3
    wanted = colour
    return min(range(16), key=lambda at: sum((a - b) ** 2 for a, b in zip(_BASE[at], wanted, strict=True)))
