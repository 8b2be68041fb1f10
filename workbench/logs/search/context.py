"""The lines of a log that match a filter, with some lines before and after each."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from workbench.logs.log_file import LogFile
from workbench.logs.search.matches import MatchIndex
from workbench.logs.search.query import LineMatcher

MAX_CONTEXT = 1_000
_OPTION = re.compile(r"\s*-C ?(\d{1,4})(?:\s+|$)")


@dataclass(frozen=True)
class FilterInput:
    """What the user has typed to filter a log: a text, inverted by `!`, after `-C N` for N lines of context."""

    text: str
    inverted: bool = False
    context: int = 0


def parse_filter(typed: str) -> FilterInput:
    """Parse the input of a filter.

    >>> parse_filter("-C 3 !done")
    FilterInput(text='done', inverted=True, context=3)
    >>> parse_filter("-Cx")
    FilterInput(text='-Cx', inverted=False, context=0)
    """
    option = _OPTION.match(typed)
    text = typed[option.end() :] if option is not None else typed
    context = min(int(option.group(1)), MAX_CONTEXT) if option is not None else 0
    return FilterInput(text.removeprefix("!"), text.startswith("!"), context)


class ContextIndex(MatchIndex):
    """The matches, and as rows also `context` lines around each. Rows are blocks of lines that do not touch."""

    def __init__(self, log: LogFile, matcher: LineMatcher, *, inverted: bool = False, context: int) -> None:
        super().__init__(log, matcher, inverted=inverted)
        self.context = context
        self._taken = 0
        self._starts, self._ends, self._rows_before = array("Q"), array("Q"), array("Q")

    def advance(self) -> bool:
        more = super().advance()
        for at in range(self._taken, len(self)):
            first, last = max(self[at] - self.context, 0), self[at] + self.context + 1
            if self._ends and first <= self._ends[-1]:
                self._ends[-1] = last
                continue
            before = self._rows_before[-1] + self._ends[-1] - self._starts[-1] if self._starts else 0
            self._ends.append(last)
            self._rows_before.append(before)
            # Last, because a block becomes visible to the interface, which is another thread, with its start.
            self._starts.append(first)
        self._taken = len(self)
        return more

    @property
    def row_count(self) -> int:
        blocks = len(self._starts)
        if not blocks:
            return 0
        return self._rows_before[blocks - 1] + min(self._ends[blocks - 1], len(self.log)) - self._starts[blocks - 1]

    def line_at(self, row: int) -> int:
        block = bisect_right(self._rows_before, row, 0, len(self._starts)) - 1
        return self._starts[block] + row - self._rows_before[block]

    def row_of(self, line: int) -> int:
        block = bisect_right(self._starts, line) - 1
        if block < 0:
            return 0
        return self._rows_before[block] + min(line, self._ends[block]) - self._starts[block]

    def is_match(self, line: int) -> bool:
        at = bisect_left(self._lines, line)
        return at < len(self._lines) and self._lines[at] == line
