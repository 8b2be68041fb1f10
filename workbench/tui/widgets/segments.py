"""Drawing functions that several widgets share."""

from __future__ import annotations

from datetime import datetime

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from workbench.text.format import format_age
from workbench.text.sanitize import truncate
from workbench.text.width import cell_width


def cell(content: str, width: int, style: Style, *, right: bool = False) -> Segment:
    """Printable text in exactly `width` columns."""
    shown = truncate(content, width)
    blank = " " * (width - cell_width(shown))
    return Segment(blank + shown if right else shown + blank, style)


def line(segments: list[Segment], width: int, base: Style, overlay: Style | None = None) -> Strip:
    """A line of `width` columns on the widget's background; `overlay` is applied to all of it, as for a cursor."""
    strip = Strip(segments).adjust_cell_length(width, base)
    strip = strip.apply_style(base)
    if overlay is not None:
        strip = Strip([Segment(text, (style or Style()) + overlay) for text, style, _ in strip])
    return strip


def window(strip: Strip, left: int, width: int, base: Style, overlay: Style | None = None) -> Strip:
    """`width` columns of a line from column `left`, on the widget's background; `overlay` as for `line`.

    The same as with the methods of `Strip`, which make a new one at each step: a log is drawn with this.
    """
    length = strip.cell_length
    if left or length > width:
        strip = strip.crop(left, left + width)
        length = strip.cell_length
    segments = [Segment(text, base + style if style is not None else base) for text, style, _ in strip]
    if length < width:
        segments.append(Segment(" " * (width - length), base))
    if overlay is not None:
        segments = [Segment(text, (style or Style()) + overlay) for text, style, _ in segments]
    return Strip(segments, width)


def age_text(since: datetime | None, now: datetime) -> str:
    """The age in its largest unit: `now`, `40s`, `5m`, `3h`, `12d`."""
    if since is None:
        return ""
    seconds = (now - since).total_seconds()
    return "now" if seconds < 5 else format_age(seconds)
