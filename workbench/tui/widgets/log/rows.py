"""Rows and lines: a *line* is a position in a log, a *row* one among the lines that a filter keeps."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.logs.log_file import LogFile
from workbench.logs.search.matches import MatchIndex

_MAX_COPIED_LINES = 100_000
"""Lines that are copied at most."""


@dataclass(frozen=True)
class LogRows:
    """The rows of a log; without a filter each line is a row. Both grow while the log is read."""

    log_file: LogFile | None = None
    filter: MatchIndex | None = None

    @property
    def line_count(self) -> int:
        return len(self.log_file) if self.log_file is not None else 0

    @property
    def row_count(self) -> int:
        return self.filter.row_count if self.filter is not None else self.line_count

    def line_at(self, row: int) -> int:
        """The line of a row; beyond the end, the last line."""
        if self.filter is None:
            return max(min(row, self.line_count - 1), 0)
        count = self.filter.row_count
        return self.filter.line_at(max(min(row, count - 1), 0)) if count else 0

    def row_of(self, line: int) -> int:
        """The row of a line, or of the next line that the filter keeps."""
        return line if self.filter is None else self.filter.row_of(line)

    def is_context(self, line: int) -> bool:
        """Whether a line is shown only because a line near it matches the filter."""
        return self.filter is not None and not self.filter.is_match(line)

    def lines(self, first: int, last: int) -> list[int]:
        """The lines of the rows from `first` to `last`, at most 100,000."""
        return [self.line_at(row) for row in range(first, min(last + 1, first + _MAX_COPIED_LINES, self.row_count))]


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
        first, last = sorted((rows.row_of(self.mark), rows.row_of(self.cursor)))
        return rows.lines(first, last)
