"""Finds encoded secrets that a program has broken into lines of any length, with or without indentation. Pure.

Looking at all text without its line breaks would cost as much as everything else. So the search of a log for the other
patterns also looks for `marks`, short parts of the encoded secrets, and only data with a mark is searched here.

Of an occurrence that begins at the end of an ordinary line with fewer than `_MIN_HEAD` bytes, these are not masked:
otherwise many lines would be held back until the next one comes. A line that ends like encoded text is held back.
"""

import re

from ahocorasick_rs import BytesAhoCorasick

from controller.logs.masking.control_sequences import View, strip_breaks, unbroken, without_incomplete_break
from controller.logs.masking.prefixes import PrefixIndex

MARK_BYTES = 6
_MIN_HEAD = 4
_MIN_RUN = 16
_TAIL_BYTES = 256
_DENSE_BYTES = 24
_LONG_BYTES = 4096
_RUN = re.compile(rb"[A-Za-z0-9+/_=.-]*")


class WrappedPatterns:
    """The patterns of one set of secrets; each has 12 bytes or more, and none has white space."""

    def __init__(self, patterns: frozenset[bytes]) -> None:
        # Without the head that may be on the line before.
        self._patterns = sorted({each[skipped:] for each in patterns for skipped in range(_MIN_HEAD)})
        self._automaton = BytesAhoCorasick(self._patterns) if patterns else None
        self._prefixes = PrefixIndex(sorted(patterns))
        self._parts = frozenset(each[at : at + _MIN_HEAD] for each in patterns for at in range(len(each) - 3))
        self.longest = max(map(len, patterns), default=0)
        self.marks = frozenset(mark for each in patterns for mark in _marks(each))

    def find(self, data: bytes) -> list[tuple[int, int]]:
        """Where the occurrences are, as (start, end)."""
        if self._automaton is None:
            return []
        view = unbroken(data)
        found = self._automaton.find_matches_as_indexes(view.text, overlapping=True)
        spans = {(start, end) for _, start, end in found}
        return [_without_short_head(data, view, start, end) for start, end in spans]

    def pending_start(self, data: bytes) -> int:
        """Where an occurrence may begin that the data cuts off; the data's length if there is none."""
        if self._automaton is None:
            return len(data)
        tail = strip_breaks(without_incomplete_break(data[-_TAIL_BYTES:]))
        if tail[-_MIN_HEAD:] not in self._parts and _run_before(tail, len(tail)) < _MIN_RUN:
            return len(data)
        view = unbroken(without_incomplete_break(data[-2 * self.longest - _TAIL_BYTES :]))
        length = self._prefixes.longest(view.text)
        if not length:
            return len(data)
        start = view.position(len(view.text) - length) + max(0, len(data) - 2 * self.longest - _TAIL_BYTES)
        run = start - _run_before(data, start)
        if length < _MIN_HEAD and len(_run_at(data, run)) < _MIN_RUN and b"\n" in data[start:]:
            return len(data)
        return max(run, start - _MIN_RUN)


def _marks(pattern: bytes) -> list[bytes]:
    """Parts of a pattern; a line of 8 bytes (of a long pattern 24) has one of them."""
    step = 1 if len(pattern) < _DENSE_BYTES else 3 if len(pattern) < _LONG_BYTES else 16
    return [pattern[at : at + MARK_BYTES] for at in range(0, len(pattern) - MARK_BYTES + 1, step)]


def _without_short_head(data: bytes, view: View, start: int, end: int) -> tuple[int, int]:
    """The span in the data of a part of the view."""
    begin, until = view.span(start, end)
    for head in range(1, _MIN_HEAD):
        if start + head < end and b"\n" in data[view.position(start + head - 1) : view.position(start + head)]:
            if len(_run_at(data, begin - _run_before(data, begin))) < _MIN_RUN:
                return view.position(start + head), until
            break
    return begin, until


def _run_before(data: bytes, position: int) -> int:
    """The number of bytes before the position, up to `_MIN_RUN`, that look encoded."""
    before = data[max(0, position - _MIN_RUN) : position][::-1]
    match = _RUN.match(before)
    return match.end() if match is not None else 0


def _run_at(data: bytes, position: int) -> bytes:
    match = _RUN.match(data, position)
    return match.group() if match is not None else b""
