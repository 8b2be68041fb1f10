"""Parses a line of a program's output as a terminal would, into printable text and its colours.

A step may print sequences that set the clipboard, rename the window, move the cursor over other lines, or reverse text.
What is left of a line are segments of printable text, each in a style (SGR); everything else is removed or replaced by
a visible character. The terminal's user interface and the web pages draw them each in their own way.

Control sequences follow ECMA-48: https://ecma-international.org/publications-and-standards/standards/ecma-48/
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

LIMIT = 4_096
"""Maximum number of displayed characters of a line; a step may print megabytes without a newline."""

RAW_LIMIT = 65_536
_TAB = 8

Colour = int | tuple[int, int, int]
"""An index into the 256 colours of a terminal, or red, green and blue."""


@dataclass(frozen=True, slots=True)
class Style:
    """The style of text. Blinking and concealed text are not supported, because they annoy or hide."""

    foreground: Colour | None = None
    background: Colour | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False

    def sgr(self) -> str:
        """The sequence that sets exactly this style, whatever was set before."""
        codes = ["0", *(code for code, name in _FLAG_CODES if getattr(self, name))]
        if self.foreground is not None:
            codes.append(_colour_code(self.foreground, 30))
        if self.background is not None:
            codes.append(_colour_code(self.background, 40))
        return f"\x1b[{';'.join(codes)}m"


class Segment(NamedTuple):
    """A piece of a line in one style. `text` is printable."""

    text: str
    style: Style


PLAIN = Style()

_FLAG_CODES = (
    ("1", "bold"),
    ("2", "dim"),
    ("3", "italic"),
    ("4", "underline"),
    ("7", "reverse"),
    ("9", "strike"),
)
_SET = {int(code): name for code, name in _FLAG_CODES} | {21: "underline"}
_UNSET: dict[int, tuple[str, ...]] = {
    22: ("bold", "dim"),
    23: ("italic",),
    24: ("underline",),
    27: ("reverse",),
    29: ("strike",),
}
assert {name for _, name in _FLAG_CODES} <= {field.name for field in fields(Style)}

# A string sequence (OSC, DCS, …) must be terminated on its line; otherwise its text stays visible.
_CONTROL = re.compile(
    r"(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
    r"|(?P<back>\r+)"
    r"|(?P<tab>\t)"
    r"|(?P<sign>[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff])"
)
_COLOUR_PARAMETERS = re.compile(r"[0-9;:]*\Z")
_COMBINING = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
# Long stacks of combining marks are drawn over the lines above and below.
_STACKED = re.compile(f"({_COMBINING}{{3}}){_COMBINING}+")
# VARIATION SELECTOR-16 makes terminals disagree about the width of the character before it.
_SUSPECT = re.compile(f"{_COMBINING}{{4}}|\ufe0f")


def parse_line(line: str, *, limit: int | None = LIMIT, width: Callable[[str], int] = len) -> list[Segment]:
    """The line as segments of printable text with their styles.

    Text that a carriage return overwrites is removed, as on a terminal. Tabs become spaces. `width` measures printable
    text in columns. After `limit` characters, the rest is replaced by `…`.
    """
    if is_plain(line):
        return [Segment(_capped(line, limit), PLAIN)] if line else []
    writer = _Writer(width)
    at = 0
    line = _bounded(line, limit)
    for match in _CONTROL.finditer(line):
        writer.write(line[at : match.start()])
        at = match.end()
        if match["final"] is not None:
            if match["final"] == "m" and not match["between"]:
                writer.style = _restyled(writer.style, match["parameters"])
        elif match["back"]:
            writer.back()
        elif match["tab"]:
            writer.tab()
        elif match["sign"]:
            writer.write(_picture(match["sign"]))
    writer.write(line[at:])
    return _cut_pieces(writer.result(), limit)


class _Writer:
    """Collects text in the current style. After a carriage return, new text replaces the line."""

    def __init__(self, width: Callable[[str], int]) -> None:
        self.style = PLAIN
        self._width = width
        self._pieces: list[tuple[Style, list[str]]] = []
        self._column = 0
        self._returned = False

    def write(self, raw: str) -> None:
        text = _without_format_characters(raw)
        if not text:
            return
        if self._returned:
            self._pieces, self._column, self._returned = [], 0, False
        self._column += self._width(text)
        if not self._pieces or self._pieces[-1][0] != self.style:
            self._pieces.append((self.style, []))
        self._pieces[-1][1].append(text)

    def tab(self) -> None:
        column = 0 if self._returned else self._column
        self.write(" " * (_TAB - column % _TAB))

    def back(self) -> None:
        self._returned = True

    def result(self) -> list[Segment]:
        return [Segment(_STACKED.sub(r"\1", "".join(texts)), style) for style, texts in self._pieces]


def is_plain(line: str) -> bool:
    """Whether the line needs no change, as most lines."""
    return line.isprintable() and (line.isascii() or not _SUSPECT.search(line))


def _bounded(line: str, limit: int | None) -> str:
    """The part of a very long line to parse: of a progress bar its end, otherwise its start."""
    if limit is None:
        return line
    bound = max(RAW_LIMIT, 2 * limit)
    if len(line) <= bound:
        return line
    return line[-bound:] if "\r" in line[-bound:].rstrip("\r\n") else line[:bound]


def _capped(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def _cut_pieces(pieces: list[Segment], limit: int | None) -> list[Segment]:
    if limit is None:
        return pieces
    result: list[Segment] = []
    remaining = limit
    for text, style in pieces:
        if len(text) > remaining:
            result.append(Segment(_capped(text, max(remaining, 1)), style))
            break
        result.append(Segment(text, style))
        remaining -= len(text)
    return result


def _without_format_characters(text: str) -> str:
    """Text without format characters (Cf), which reverse, join or hide other text."""
    if not text.isprintable():
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return text if text.isascii() else text.replace("\ufe0f", "")


def _picture(sign: str) -> str:
    """A visible replacement for a control character."""
    code = ord(sign)
    if sign in "\x07\x0e\x0f":  # the bell, and the two that change the character set
        return ""
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return " " if code in (0x2028, 0x2029) else "\ufffd"


def _restyled(style: Style, parameters: str) -> Style:
    """The style after an SGR sequence with these parameters; unknown ones are ignored."""
    if not _COLOUR_PARAMETERS.match(parameters):
        return style
    codes = [part.split(":") for part in parameters.split(";")]
    at = 0
    while at < len(codes):
        code = _number(codes[at][0])
        if code in (38, 48):
            colour, at = _extended_colour(codes, at)
            if colour is not None:
                style = _with_colour(style, colour, ground=code)
        else:
            style = _with_code(style, code, codes[at][1:])
        at += 1
    return style


def _with_code(style: Style, code: int, details: list[str]) -> Style:
    if code == 0:
        return PLAIN
    if code == 4 and details[:1] == ["0"]:
        return replace(style, underline=False)
    if (flag := _SET.get(code)) is not None:
        return replace(style, **{flag: True})
    if (flags := _UNSET.get(code)) is not None:
        return replace(style, **dict.fromkeys(flags, False))
    for base, first in ((30, 0), (90, 8), (40, 0), (100, 8)):
        if base <= code < base + 8:
            return _with_colour(style, first + code - base, ground=38 if base in (30, 90) else 48)
    if code == 39:
        return replace(style, foreground=None)
    if code == 49:
        return replace(style, background=None)
    return style


def _with_colour(style: Style, colour: Colour, *, ground: int) -> Style:
    return replace(style, foreground=colour) if ground == 38 else replace(style, background=colour)


def _extended_colour(codes: list[list[str]], at: int) -> tuple[Colour | None, int]:
    """The colour of a 38 or 48 at `at`, and where its last parameter is: `38;2;r;g;b` or `38:2::r:g:b`."""
    if len(codes[at]) > 1:
        kind, *rest = [_number(part) for part in codes[at][1:]]
        return _colour(kind, rest[-3:] if kind == 2 else rest[:1]), at
    kind = _number(codes[at + 1][0]) if at + 1 < len(codes) else -1
    size = {2: 3, 5: 1}.get(kind, 0)
    parts = [_number(code[0]) for code in codes[at + 2 : at + 2 + size]]
    return _colour(kind, parts), min(at + 1 + size, len(codes))


def _colour(kind: int, parts: list[int]) -> Colour | None:
    if not all(0 <= part <= 255 for part in parts):
        return None
    if kind == 5 and len(parts) == 1:
        return parts[0]
    if kind == 2 and len(parts) == 3:
        return parts[0], parts[1], parts[2]
    return None


def _number(text: str) -> int:
    """The value of a parameter: an empty one is 0, a too long one an unknown code."""
    if not text:
        return 0
    return int(text) if len(text) < 6 else 99_999


def _colour_code(colour: Colour, base: int) -> str:
    if isinstance(colour, tuple):
        return f"{base + 8};2;{colour[0]};{colour[1]};{colour[2]}"
    if colour < 8:
        return str(base + colour)
    if colour < 16:
        return str(base + 60 + colour - 8)
    return f"{base + 8};5;{colour}"
