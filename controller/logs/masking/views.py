"""A text made from some data, with the position of each of its bytes in the data. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """`text` is the data with other bytes, or none, for some parts of it.

    The n-th part is from `origin_starts[n]` to `origin_ends[n]` in the data, and from `starts[n]` to `ends[n]` in the
    text.
    """

    text: bytes
    starts: list[int]
    ends: list[int]
    origin_starts: list[int]
    origin_ends: list[int]

    def position(self, index: int) -> int:
        """Where in the data the byte of the text begins."""
        at = bisect_right(self.starts, index) - 1
        if at < 0:
            return index
        end = self.ends[at]
        return self.origin_starts[at] if index < end else self.origin_ends[at] + index - end

    def end(self, index: int) -> int:
        """Where in the data the byte of the text ends."""
        at = bisect_right(self.starts, index) - 1
        if at < 0:
            return index + 1
        end = self.ends[at]
        return self.origin_ends[at] if index < end else self.origin_ends[at] + index - end + 1

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of the text is in the data, with what was removed within."""
        return self.position(start), self.end(end - 1)

    def has_removed(self, start: int, end: int) -> bool:
        """Whether something was removed within a part of the text, if nothing was replaced."""
        return bisect_right(self.starts, start) != bisect_left(self.starts, end)

    def is_same(self, start: int, end: int) -> bool:
        """Whether a part of the text is in the data as it is."""
        return bisect_right(self.starts, start) == bisect_right(self.starts, end - 1) and (
            self.position(start) + end - start == self.end(end - 1)
        )


def windows(places: Iterable[int], before: int, after: int, size: int) -> list[tuple[int, int]]:
    """The parts of a text of this size around these places; overlapping ones as one."""
    found: list[tuple[int, int]] = []
    for place in sorted(places):
        begin, end = max(0, place - before), min(size, place + after)
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], end
        else:
            found.append((begin, end))
    return found


def replaced_view(text: bytes, replacements: Iterable[tuple[tuple[int, int], int]]) -> View:
    """The text, for which parts of some data were replaced: (start, end) in the data, and the size in the text."""
    starts: list[int] = []
    ends: list[int] = []
    origin_starts: list[int] = []
    origin_ends: list[int] = []
    removed = 0
    for (origin_start, origin_end), size in replacements:
        start = origin_start - removed
        end = start + size
        starts.append(start)
        ends.append(end)
        origin_starts.append(origin_start)
        origin_ends.append(origin_end)
        removed = origin_end - end
    return View(text, starts, ends, origin_starts, origin_ends)
