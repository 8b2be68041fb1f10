"""Rows and lines: a *line* is a position in a log, a *row* one in what is shown.

A filter shows only the lines that it keeps. Without one, sections have headings, and those that are folded only these;
and the line that is being written has a row behind all lines of the log.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.client.models import LogLine
from workbench.logs.folding import Folding
from workbench.logs.log_file import LogFile
from workbench.logs.search.matches import MatchIndex
from workbench.logs.sections import Section

MAX_COPIED_LINES = 100_000
"""Lines that are copied at most."""


@dataclass(frozen=True)
class LogRows:
    """The rows of a log. Log and filter grow while the log is read."""

    log_file: LogFile | None = None
    filter: MatchIndex | None = None
    folding: Folding | None = None
    """The rows without a filter; None if each line is a row."""
    partial: LogLine | None = None
    """What the line at position `partial_at` shows, which is being written; outdated as soon as the log has it."""
    partial_at: int = -1

    @property
    def line_count(self) -> int:
        return len(self.log_file) if self.log_file is not None else 0

    @property
    def row_count(self) -> int:
        return self._rows_of_lines(self.line_count + self._has_partial)

    @property
    def _has_partial(self) -> bool:
        return self.partial is not None and self.partial_at == self.line_count

    @property
    def whole_row_count(self) -> int:
        """The rows without that of the line that is being written."""
        return self._rows_of_lines(self.line_count)

    def _rows_of_lines(self, count: int) -> int:
        if self.filter is not None:
            return self.filter.row_count
        return self.folding.row_count(count) if self.folding is not None else count

    def is_partial(self, row: int) -> bool:
        """Whether this is the row of the line that is being written."""
        if not self._has_partial or self.filter is not None or self.section_at(row) is not None:
            return False
        return (self.folding.line_at(row) if self.folding is not None else row) == self.line_count

    def line_at(self, row: int) -> int:
        """The line of a row; of a heading, the first line of its section; beyond the end, the last line."""
        if self.filter is None:
            line = self.folding.line_at(row) if self.folding is not None else row
            return max(min(line, self.line_count - 1), 0)
        count = self.filter.row_count
        return self.filter.line_at(max(min(row, count - 1), 0)) if count else 0

    def row_of(self, line: int) -> int:
        """The row of a line, of the next line that the filter keeps, or of the heading that the line is folded into."""
        if self.filter is not None:
            return self.filter.row_of(line)
        return self.folding.row_of(line) if self.folding is not None else line

    def section_at(self, row: int) -> Section | None:
        """The section whose heading this row is."""
        return self.folding.section_at(row) if self.folding is not None and self.filter is None else None

    def is_context(self, line: int) -> bool:
        """Whether a line is shown only because a line near it matches the filter."""
        return self.filter is not None and not self.filter.is_match(line)

    def lines(self, first: int, last: int) -> list[int]:
        """The lines of the rows from `first` to `last`, at most 100,000."""
        return [self.line_at(row) for row in range(first, min(last + 1, first + MAX_COPIED_LINES, self.row_count))]


@dataclass(frozen=True)
class LineSelection:
    """The line at the cursor, or all lines from the mark to the cursor."""

    cursor: int | None
    mark: int | None

    def __contains__(self, line: int) -> bool:
        if self.mark is None or self.cursor is None:
            return line == self.cursor
        return min(self.mark, self.cursor) <= line <= max(self.mark, self.cursor)

    def lines(self, rows: LogRows, current_line: int) -> list[int]:
        """The selected lines that the filter keeps; without a mark, the current line."""
        if self.mark is None or self.cursor is None:
            return [current_line] if rows.line_count else []
        if rows.filter is None:
            # With the lines of folded sections.
            first, last = sorted((self.mark, self.cursor))
            return list(range(first, min(last + 1, first + MAX_COPIED_LINES, rows.line_count)))
        first, last = sorted((rows.row_of(self.mark), rows.row_of(self.cursor)))
        return rows.lines(first, last)
