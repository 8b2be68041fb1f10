"""All lines of a log that a query finds, collected piece by piece from the top, while the log may still grow.

Meant to be driven from a thread: `advance` takes a piece in some milliseconds, so whoever draws gets a turn
in between. What has been found can be asked at any time.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from workbench.logs.log_file import LogFile
from workbench.logs.search.query import LineMatcher, render_plain


class MatchIndex:
    """The positions (from 0) of matching lines, or with `inverted` of all others. 4 bytes a match."""

    def __init__(self, log: LogFile, matcher: LineMatcher, *, inverted: bool = False) -> None:
        self.log, self.matcher, self.inverted = log, matcher, inverted
        self.scanned = 0
        """How many lines have been looked at."""
        self._lines = array("I")

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[int]:
        return iter(self._lines)

    def __getitem__(self, place: int) -> int:
        return self._lines[place]

    @property
    def complete(self) -> bool:
        return self.scanned >= len(self.log)

    def advance(self) -> bool:
        """Look at some more lines; False when there are none.

        Raises:
            LogFileError: the log can't be read.
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
        place = bisect_left(self._lines, position) if including else bisect_right(self._lines, position)
        return self._lines[place] if place < len(self._lines) else None

    def before(self, position: int) -> int | None:
        """The next match above a line."""
        place = bisect_left(self._lines, position)
        return self._lines[place - 1] if place else None

    def next(self, position: int, direction: int, *, including: bool = False) -> int | None:
        """The match below (1) or above (-1) a line, going on at the other end; None when nothing matches."""
        if not self._lines:
            return None
        if direction > 0:
            found = self.after(position, including=including)
            return self._lines[0] if found is None else found
        found = self.before(position)
        return self._lines[-1] if found is None else found

    def count_before(self, position: int) -> int:
        """How many matches are above this line: its row where only matches are kept, or where it would be."""
        return bisect_left(self._lines, position)
