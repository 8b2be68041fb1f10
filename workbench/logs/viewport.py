"""Which rows of a screen show which lines of a log, when long lines are wrapped. Pure.

Nobody knows how many rows a million wrapped lines take without reading them all, so a place in a log is a line
and how many of its first rows are above the window. Heights are asked for only of the lines in view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Height = Callable[[int], int]
"""The rows that a line takes, at least 1."""


@dataclass(frozen=True, order=True)
class ViewportPosition:
    """The window's first row: row `skip` (from 0) of line `line` (from 0)."""

    line: int = 0
    skip: int = 0


def visible_rows(place: ViewportPosition, room: int, count: int, height: Height) -> list[tuple[int, int]]:
    """The (line, row of the line) of each of at most `room` rows."""
    shown: list[tuple[int, int]] = []
    line, skip = place.line, place.skip
    while line < count and len(shown) < room:
        shown += [(line, row) for row in range(skip, height(line))][: room - len(shown)]
        line, skip = line + 1, 0
    return shown


def last_position(room: int, count: int, height: Height) -> ViewportPosition:
    """The place where the last row of the last line is the last row of the window."""
    line, left = count, room
    while line > 0 and left > 0:
        line -= 1
        left -= height(line)
    return ViewportPosition(line, max(-left, 0))


def scroll(place: ViewportPosition, by: int, room: int, count: int, height: Height) -> ViewportPosition:
    """The place so many rows further down (or up, if negative), not beyond the log's ends."""
    line, skip = place.line, place.skip
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
    return min(ViewportPosition(line, skip), last_position(room, count, height))
