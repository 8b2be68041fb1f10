"""Finds a text in the lines of a document. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

Location = tuple[int, int]
"""Row and column, from 0."""


@dataclass(frozen=True, order=True)
class Match:
    """Where a text was found; it lies in one row."""

    start: Location
    end: Location


def find_all(lines: Sequence[str], text: str) -> list[Match]:
    """All places of a text, which do not overlap. Case counts only if the text has a capital letter."""
    if not text:
        return []
    exact = text != text.lower()
    found = []
    for row, line in enumerate(lines):
        # Lower case may have another length than the line: then columns would be those of another text.
        searched = line if exact or len(line.lower()) != len(line) else line.lower()
        column = searched.find(text)
        while column >= 0:
            found.append(Match((row, column), (row, column + len(text))))
            column = searched.find(text, column + len(text))
    return found


def nearest(matches: Sequence[Match], at: Location, direction: int) -> int | None:
    """The index of the first match that starts at a location or after it (1), or before it (-1), wrapping around."""
    if not matches:
        return None
    starts = [match.start for match in matches]
    place = bisect.bisect_left(starts, at)
    return place % len(matches) if direction > 0 else (place - 1) % len(matches)
