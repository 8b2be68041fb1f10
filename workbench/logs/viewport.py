"""Maps the rows of a window to the lines of a log with wrapped lines. Pure.

The total number of rows is unknown without reading all lines. A position is therefore a line and the number of its
rows above the window, and only the heights of visible lines are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Height = Callable[[int], int]
"""The number of rows of a line, at least 1."""


@dataclass(frozen=True, order=True)
class ViewportPosition:
    """The window's first row: row `skip` (from 0) of line `line` (from 0)."""

    line: int = 0
    skip: int = 0


def visible_rows(position: ViewportPosition, window_rows: int, count: int, height: Height) -> list[tuple[int, int]]:
    """The (line, row of the line) of each visible row, at most `window_rows`."""
    shown: list[tuple[int, int]] = []
    line, skip = position.line, position.skip
    while line < count and len(shown) < window_rows:
        shown += [(line, row) for row in range(skip, height(line))][: window_rows - len(shown)]
        line, skip = line + 1, 0
    return shown


def last_position(window_rows: int, count: int, height: Height) -> ViewportPosition:
    """The position at which the last row of the last line is the last row of the window."""
    line, left = count, window_rows
    while line > 0 and left > 0:
        line -= 1
        left -= height(line)
    return ViewportPosition(line, max(-left, 0))


def scroll(position: ViewportPosition, by: int, window_rows: int, count: int, height: Height) -> ViewportPosition:
    """The position `by` rows further down (up if negative), within the log."""
    line, skip = position.line, position.skip
    while by > 0 and line < count:
        step = min(by, height(line) - skip)
        skip, by = skip + step, by - step
        if skip >= height(line):
            line, skip = line + 1, 0
    while by < 0 and (line > 0 or skip > 0):
        if skip == 0:
            line -= 1
            skip = height(line)
        step = min(-by, skip)
        skip, by = skip - step, by + step
    return min(ViewportPosition(line, skip), last_position(window_rows, count, height))
