"""The text that a reader of a log sees: without control sequences, invisible characters or line breaks. Pure.

Control sequences follow ECMA-48; their
grammar is that of the workbench's sanitizer, which removes them before it shows a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import re2

from controller.logs.masking.views import View, replaced_view

MAX_SEQUENCE_BYTES = 4096
"""A string sequence (OSC, DCS) that is longer than this counts as text."""
MAX_RENDERED_BYTES = 16 * 1024
"""Longer lines are not rendered with their carriage returns and backspaces."""

# UTF-8 of the format characters (Unicode category Cf), the variation selectors and the combining grapheme joiner.
_INVISIBLE = (
    rb"\xc2\xad|\xcd\x8f|\xd8[\x80-\x85\x9c]|\xdb\x9d|\xdc\x8f|\xe0\xa2[\x90\x91]|\xe0\xa3\xa2|\xe1\xa0[\x8b-\x8f]"
    rb"|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xb8[\x80-\x8f]|\xef\xbb\xbf|\xef\xbf[\xb9-\xbb]"
    rb"|\xf0\x91\x82\xbd|\xf0\x91\x83\x8d|\xf0\x93\x90[\xb0-\xbf]|\xf0\x9b\xb2[\xa0-\xa3]|\xf0\x9d\x85[\xb3-\xba]"
    rb"|\xf3\xa0[\x80-\x83][\x80-\xbf]|\xf3\xa0[\x84-\x87][\x80-\xbf]"
)
_SINGLE_CONTROL = rb"\xc2[\x80-\x9f]|[\x00-\x08\x0b-\x1f\x7f]|" + _INVISIBLE
_CONTROL = (
    rb"(?:\x1b\[|\xc2\x9b)[0-?]{0,256}[ -/]{0,16}[@-~]"
    rb"|(?:\x1b[\]PX^_]|\xc2[\x90\x98\x9d-\x9f])(?:[^\x00-\x1f\x7f\xc2]|\xc2[^\x00-\x1f\x7f-\x9f]){0,4096}"
    rb"(?:\x07|\x1b\\|\xc2\x9c)"
    rb"|\x1b[ -/]{0,16}[0-~]|" + _SINGLE_CONTROL
)
# Also the line breaks in a text that was written as a JSON string.
_BREAK = rb"\n[ \t]{0,64}|(?:\\r)?\\n"
_CONTROLS = re.compile(_CONTROL)
_COLOUR = re.compile(rb"\x1b\[[0-9;]{0,64}[A-Za-z]")
_CONTROLS_AND_BREAKS = re.compile(_CONTROL + b"|" + _BREAK)
_INCOMPLETE = re.compile(
    rb"(?:\x1b\[|\xc2\x9b)[0-?]{0,256}[ -/]{0,16}"
    rb"|(?:\x1b[\]PX^_]|\xc2[\x90\x98\x9d-\x9f])(?:[^\x00-\x1f\x7f\xc2]|\xc2[^\x00-\x1f\x7f-\x9f]){0,4096}(?:\x1b|\xc2)?"
    rb"|\x1b[ -/]{0,16}"
)
_INTRODUCER = re.compile(rb"\x1b|\xc2[\x90\x98\x9b\x9d-\x9f]")
_INCOMPLETE_BREAK = re.compile(rb"\\(?:r\\?)?\Z")
# The first bytes of what `_CONTROLS` matches, apart from the second bytes that decide.
_SUSPECT = bytes([*range(0x09), *range(0x0B, 0x20), 0x7F, *b"\xc2\xcd\xd8\xdb\xdc\xe0\xe1\xe2\xef\xf0\xf3"])
_FIRST = re.compile(b"[" + re.escape(_SUSPECT) + b"]")
_FIRST_OR_BREAK = re.compile(b"[" + re.escape(_SUSPECT + b"\n\\") + b"]")
_LEADS = (b"\xc2\xcd\xd8\xdb\xdc\xe0\xe1\xe2\xef\xf0\xf3", b"\xe0\xe1\xe2\xef\xf0\xf3", b"\xf0\xf3")
"""First bytes of such characters of at least two, three and four bytes."""
_REWRITES = re.compile(rb"\x08|\r(?![\r\n]|\Z)")
_CHARACTER = re.compile(_CONTROL + rb"|[\xc0-\xff][\x80-\xbf]{1,3}|.", re.DOTALL)


def compile_re2(pattern: bytes) -> Any:
    """An expression of RE2 for bytes, which is ten times as fast as others where it does not match."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern, options)


# All control sequences have such a character.
_ANY = compile_re2(_SINGLE_CONTROL)


@dataclass(frozen=True)
class RewrittenLine:
    """A line as a terminal shows it; `places` are those of its bytes in the data, `start` and `end` those of all."""

    text: bytes
    places: list[int]
    start: int
    end: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of the text is in the data: the whole line if it was not written from left to right."""
        places = self.places[start:end]
        return (places[0], places[-1] + 1) if places == sorted(places) else (self.start, self.end)


def has_controls(data: bytes) -> bool:
    """Whether `visible` differs from the data. Fast, because every byte of every log passes here."""
    return len(data.translate(None, _SUSPECT)) != len(data) and _ANY.search(data) is not None


def strip_controls(data: bytes) -> bytes:
    """The data without control sequences and invisible characters."""
    return visible(data).text if has_controls(data) else data


def visible_text(data: bytes) -> bytes:
    """The text of `visible`; fast where only colours and carriage returns are to be removed."""
    text = _COLOUR.sub(b"", data)
    return visible(data).text if b"\x1b" in text or has_controls(text.replace(b"\r", b"")) else text.replace(b"\r", b"")


def strip_breaks(data: bytes) -> bytes:
    """The same, also without line breaks and the indentation after them."""
    return unbroken(data).text


def visible(data: bytes) -> View:
    """The data without control sequences and invisible characters."""
    return _view(data, _CONTROLS)


def unbroken(data: bytes) -> View:
    """The same, also without line breaks and the indentation after them."""
    return _view(data, _CONTROLS_AND_BREAKS)


def _view(data: bytes, removed: re.Pattern[bytes]) -> View:
    spans = list(_spans(data, removed))
    kept = [data[end:start] for (_, end), (start, _) in pairwise([(0, 0), *spans, (len(data), 0)])]
    return replaced_view(b"".join(kept), ((span, 0) for span in spans))


def _spans(data: bytes, removed: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    """Where the pattern matches: it is tried only at bytes that it can begin with, which is twenty times as fast."""
    end = 0
    for candidate in (_FIRST if removed is _CONTROLS else _FIRST_OR_BREAK).finditer(data):
        if candidate.start() >= end and (match := removed.match(data, candidate.start())) is not None:
            end = match.end()
            yield match.span()


def incomplete_start(data: bytes) -> int:
    """Where a control sequence or a character begins that the data cuts off; the data's length if there is none."""
    begin = max(0, len(data) - MAX_SEQUENCE_BYTES - 4, data.rfind(b"\n") + 1)
    for match in _INTRODUCER.finditer(data, begin):
        if _INCOMPLETE.fullmatch(data, match.start()) is not None:
            return match.start()
    for size, leads in enumerate(_LEADS, 1):
        if len(data) - begin >= size and data[-size] in leads:
            return len(data) - size
    return len(data)


def without_incomplete_break(data: bytes) -> bytes:
    r"""The data without the beginning of a written line break (`\n`) at its end."""
    return _INCOMPLETE_BREAK.sub(b"", data)


def rewritten_lines(data: bytes) -> list[RewrittenLine]:
    """The lines with backspaces or carriage returns."""
    found: list[RewrittenLine] = []
    if b"\r" not in data and b"\b" not in data:
        return found
    line_end = 0
    for match in _REWRITES.finditer(data):
        if match.start() < line_end:
            continue
        line_start = data.rfind(b"\n", 0, match.start()) + 1
        line_end = data.find(b"\n", match.start())
        line_end = len(data) if line_end < 0 else line_end
        if line_end - line_start <= MAX_RENDERED_BYTES:
            found.append(_rendered(data, line_start, line_end))
    return found


def _rendered(data: bytes, start: int, end: int) -> RewrittenLine:
    cells: list[tuple[int, int]] = []
    column = 0
    for match in _CHARACTER.finditer(data, start, end):
        text = match.group()
        if text == b"\r":
            column = 0
        elif text == b"\b":
            column = max(0, column - 1)
        elif (
            (len(text) > 1 and text[0] >= 0xC0 and not _CONTROLS.fullmatch(text))
            or (text >= b" " and len(text) == 1)
            or text == b"\t"
        ):
            cells[column : column + 1] = [match.span()]
            column += 1
    text = b"".join(data[first:last] for first, last in cells)
    return RewrittenLine(text, [at for first, last in cells for at in range(first, last)], start, end)
