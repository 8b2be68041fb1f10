"""Renders single log lines: colours, matches, selection, and the margin with numbers and times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.strip import Strip

from workbench.client.models import LogLine
from workbench.logs.log_file import LogFile
from workbench.logs.search.query import Query, is_error
from workbench.text.sanitize import segments
from workbench.text.width import cell_width, char_width
from workbench.tui.theme import ERROR_SIGN, WRAP_SIGN, Palette, rich_style

_CACHE_SIZE = 2_000


@dataclass(frozen=True)
class LineStyle:
    """How a line is rendered. `wrap_width` is the columns of a row; 0 does not wrap."""

    palette: Palette
    number_width: int
    """Digits of the line numbers; 0 without them."""
    show_times: bool
    wrap_width: int
    query: Query | None
    """The search whose matches are highlighted."""

    @property
    def margin(self) -> int:
        """Columns before the text."""
        return (self.number_width + 1 if self.number_width else 0) + (13 if self.show_times else 0) + 1


@dataclass(frozen=True)
class RenderedLine:
    """A rendered line: its visible text, its rows, and the offset in the text where each row starts."""

    text: str
    rows: tuple[Strip, ...]
    starts: tuple[int, ...]

    def selectable_row(
        self, row: int, part: int, margin: int, span: tuple[int, int] | None, style: Style | None
    ) -> Strip:
        """A row of the line with the mouse selection `span` in `style`; tells Textual the text under the mouse."""
        begin, strip = self.starts[part], self.rows[part]
        head, text = strip.divide([margin, max(strip.cell_length, margin)])
        if span is not None and style is not None:
            start, end = span
            end = len(self.text) if end == -1 else end
            text = Strip(apply_style(list(text), [(max(start - begin, 0), max(end - begin, 0))], style))
        return Strip([*head, *text.apply_offsets(begin, row)])


class LineRenderer:
    """Caches rendered lines until the log or the style changes."""

    def __init__(self) -> None:
        self._log: LogFile | None = None
        self._style: LineStyle | None = None
        self._cache: LRUCache[int, RenderedLine] = LRUCache(_CACHE_SIZE)

    def render(self, log: LogFile, line: int, style: LineStyle) -> RenderedLine:
        if log is not self._log or style != self._style:
            self._cache.clear()
            self._log, self._style = log, style
        painted = self._cache.get(line)
        if painted is None:
            painted = self._cache[line] = _render(log, line, style)
        return painted

    def clear(self) -> None:
        self._cache.clear()


def _render(log: LogFile, line: int, style: LineStyle) -> RenderedLine:
    read = log.read(line, 1)
    time = log.time(line) if read and style.show_times else None
    return render_line(LogLine(time, read[0] if read else ""), line, style)


def render_line(read: LogLine, line: int, style: LineStyle) -> RenderedLine:
    """Render a line, whose position (from 0) is `line`."""
    pieces = [Segment(text, rich_style(style)) for text, style in segments(read.text)]
    text = "".join(piece.text for piece in pieces)
    if style.query is not None:
        pieces = apply_style(pieces, style.query.find_spans(text), style.palette.match)
    head = _gutter(read.time, line, style, text)
    if not style.wrap_width:
        return RenderedLine(text, (Strip([*head, *pieces]),), (0,))
    starts = wrap_offsets(text, max(style.wrap_width - style.margin, 8))
    parts = _split_rows(pieces, text, starts)
    sign = Segment(WRAP_SIGN, style.palette.error if is_error(text) else style.palette.faint)
    below = [Segment(" " * (style.margin - 1)), sign]
    return RenderedLine(
        text, tuple(Strip([*(below if row else head), *part]) for row, part in enumerate(parts)), tuple(starts)
    )


def _gutter(time: int | None, line: int, style: LineStyle, text: str) -> list[Segment]:
    head: list[Segment] = []
    if style.number_width:
        head.append(Segment(f"{line + 1:>{style.number_width}} ", style.palette.faint))
    if style.show_times:
        head.append(Segment(f"{format_time(time)} ", style.palette.faint))
    return [*head, Segment(ERROR_SIGN, style.palette.error) if is_error(text) else Segment(" ")]


def wrap_offsets(text: str, width: int) -> list[int]:
    """The offsets where the rows of a wrapped text start; breaks after a space near the end of a row."""
    starts, column, blank = [0], 0, 0
    for at, char in enumerate(text):
        column += char_width(char)
        if column > width:
            begin = blank if blank > starts[-1] and at - blank < width // 3 else at
            starts.append(begin)
            column = cell_width(text[begin : at + 1])
        if char == " ":
            blank = at + 1
    return starts


def _split_rows(pieces: list[Segment], text: str, starts: list[int]) -> list[list[Segment]]:
    parts: list[list[Segment]] = []
    for begin, end in zip(starts, [*starts[1:], len(text)], strict=True):
        part, at = [], 0
        for piece in pieces:
            inside = piece.text[max(begin - at, 0) : max(end - at, 0)]
            at += len(piece.text)
            if inside:
                part.append(Segment(inside, piece.style))
        parts.append(part)
    return parts


def apply_style(pieces: list[Segment], spans: list[tuple[int, int]], style: Style) -> list[Segment]:
    """Apply a style to spans of characters, which must be sorted; what overlaps gets it in part."""
    cuts = [cut for begin, end in spans if end > begin for cut in (begin, end)]
    if not cuts:
        return pieces
    done: list[Segment] = []
    at = number = 0
    for text, base, _ in pieces:
        while text:
            room = cuts[number] - at if number < len(cuts) else len(text)
            if room <= 0:
                number += 1
                continue
            part, text = text[:room], text[room:]
            at += len(part)
            done.append(Segment(part, (base or Style()) + style if number % 2 else base))
    return done


def format_time(microseconds: int | None) -> str:
    if microseconds is None:
        return " " * 12
    moment = datetime.fromtimestamp(microseconds / 1_000_000, UTC).astimezone()
    return f"{moment:%H:%M:%S}.{microseconds // 1000 % 1000:03}"
