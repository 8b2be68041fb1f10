"""The lines of a log that match a query, collected in blocks while the log may still grow.

`advance` is called in a thread and takes some milliseconds, so that the interface stays responsive. The matches
found so far are available at any time.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from workbench.logs.log_file import LogFile
from workbench.logs.search.query import LineMatcher, render_plain


def nearest_match(matches: MatchIndex, line: int) -> int:
    """The match at a line or below it, else the last one; `line` if there is none."""
    below = matches.after(line, including=True)
    if below is not None:
        return below
    return matches[len(matches) - 1] if len(matches) else line


class MatchIndex:
    """The positions (from 0) of matching lines, or of all others if `inverted`. 4 bytes a match."""

    def __init__(self, log: LogFile, matcher: LineMatcher, *, inverted: bool = False) -> None:
        self.log, self.matcher, self.inverted = log, matcher, inverted
        self.scanned = 0
        """How many lines have been searched."""
        self._lines = array("I")

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[int]:
        return iter(self._lines)

    def __getitem__(self, index: int) -> int:
        return self._lines[index]

    @property
    def complete(self) -> bool:
        return self.scanned >= len(self.log)

    def advance(self) -> bool:
        """Search the next block of lines; False if there is none.

        Raises:
            LogFileError: the log cannot be read.
        """
        data, until = self.log.block(self.scanned)
        if until == self.scanned:
            return False
        found = self.matcher.matching_lines(render_plain(data[:-1]))
        if self.inverted:
            matching = set(found)
            found = (at for at in range(until - self.scanned) if at not in matching)
        self._lines.extend([self.scanned + at for at in found])
        self.scanned = until
        return True

    def after(self, position: int, *, including: bool = False) -> int | None:
        """The next match below a line, of those found so far."""
        index = bisect_left(self._lines, position) if including else bisect_right(self._lines, position)
        return self._lines[index] if index < len(self._lines) else None

    def before(self, position: int) -> int | None:
        """The next match above a line."""
        index = bisect_left(self._lines, position)
        return self._lines[index - 1] if index else None

    def next(self, position: int, direction: int, *, including: bool = False) -> int | None:
        """The match below (1) or above (-1) a line, wrapping around; None if nothing matches."""
        if not self._lines:
            return None
        if direction > 0:
            found = self.after(position, including=including)
            return self._lines[0] if found is None else found
        found = self.before(position)
        return self._lines[-1] if found is None else found

    def count_before(self, position: int) -> int:
        """The number of matches above this line."""
        return bisect_left(self._lines, position)

    @property
    def row_count(self) -> int:
        """The number of rows of a view that shows only these lines."""
        return len(self._lines)

    def line_at(self, row: int) -> int:
        """The line of a row of such a view."""
        return self._lines[row]

    def row_of(self, line: int) -> int:
        """The row of a line, or of the next line that is shown."""
        return self.count_before(line)

    def is_match(self, line: int) -> bool:
        """Whether a line that is shown matches; lines of context do not."""
        return True
