"""Rows of a log with sections: a heading for each section, and no rows for the lines of a folded one and for the
markers of groups. Pure.

A *line* is a position in the log, a *row* a position in what is shown.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence, Set
from dataclasses import dataclass

from workbench.logs.sections import Section

SectionKey = tuple[str, int]
"""Kind and first line of a section."""


def section_key(section: Section) -> SectionKey:
    """What identifies a section while the log grows."""
    return section.kind, section.first


def innermost_section(sections: Sequence[Section], line: int) -> Section | None:
    """The smallest section that a line is in."""
    found = None
    for section in sections:
        if section.first > line:
            break
        if section.end is None or line < section.end:
            found = section
    return found


@dataclass(frozen=True)
class _Span:
    """Consecutive rows: the heading of a section, or lines from `line` on. The last span of lines has no end."""

    row: int
    line: int
    section: Section | None = None


class Folding:
    """The rows of a log with these sections, of which those that begin at the lines `folded` are folded.

    Args:
        sections: each before those within it, as `merge_sections` orders them.
        folded: the keys of the folded sections.
    """

    def __init__(self, sections: Sequence[Section], folded: Set[SectionKey]) -> None:
        self._spans: list[_Span] = []
        self._hidden_from: int | None = None
        """The line from which on all lines are in a folded section that has not ended."""
        self._build(sections, folded)
        self._rows = [span.row for span in self._spans]
        self._lines = [span.line for span in self._spans]

    def _build(self, sections: Sequence[Section], folded: Set[SectionKey]) -> None:
        row = line = 0
        markers = sorted({each.end - 1 for each in sections if each.has_end_marker and each.end is not None})
        for section in sections:
            if section.first < line or self._hidden_from is not None:
                # It is within a folded section.
                continue
            row, line = self._add_lines(row, line, section.first, markers)
            self._spans.append(_Span(row, section.first, section))
            row, line = row + 1, section.first
            if section_key(section) in folded:
                self._hidden_from = section.first if section.end is None else None
                line = section.first if section.end is None else section.end
            elif section.kind == "group":
                # Its first line is its marker, which the heading replaces.
                line += 1
        if self._hidden_from is None:
            row, line = self._add_lines(row, line, markers[-1] + 1 if markers else line, markers)
            self._spans.append(_Span(row, line))

    def _add_lines(self, row: int, line: int, end: int, markers: Sequence[int]) -> tuple[int, int]:
        """Add the lines from `line` to `end` without the markers; the row and the line after them."""
        first, last = bisect_left(markers, line), bisect_left(markers, end)
        for until in (*markers[first:last], end):
            if until > line:
                self._spans.append(_Span(row, line))
                row += until - line
            line = max(line, until + (until != end))
        return row, line

    def row_count(self, line_count: int) -> int:
        """The number of rows of a log with so many lines."""
        last = self._spans[-1] if self._spans else None
        if last is None:
            return 0
        if last.section is not None:
            return last.row + 1
        return last.row + max(line_count - last.line, 0)

    def section_at(self, row: int) -> Section | None:
        """The section whose heading this row is."""
        span = self._span(row)
        return span.section if span is not None and span.section is not None and span.row == row else None

    def line_at(self, row: int) -> int:
        """The line of a row; of a heading, the first line of its section."""
        span = self._span(row)
        if span is None:
            return 0
        return span.line if span.section is not None else span.line + row - span.row

    def row_of(self, line: int) -> int:
        """The row of a line; of a line in a folded section, the row of its heading."""
        at = bisect_right(self._lines, line) - 1
        if at < 0:
            return 0
        span = self._spans[at]
        if span.section is not None:
            return span.row
        row = span.row + line - span.line
        following = self._spans[at + 1].row if at + 1 < len(self._spans) else row + 1
        return min(row, following - 1)

    def _span(self, row: int) -> _Span | None:
        at = bisect_right(self._rows, row) - 1
        return self._spans[at] if at >= 0 else None
