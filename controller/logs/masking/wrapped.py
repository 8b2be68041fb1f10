"""Finds encoded secrets that a program has broken into lines of 8 characters or more, maybe indented. Pure.

Looking at all text without its line breaks would cost as much as everything else. So the search of a log for the other
patterns also looks for `marks`, short parts of the encoded secrets, and only data with a mark is searched here.

An occurrence over line breaks counts if at least `MIN_HEAD` of its characters are before the first one, or if the line
before that break ends with `MIN_RUN` characters that look encoded. Otherwise nearly every line would be held back
until the next one comes, because it ends with a character with which some encoded secret begins. The one to three
characters of such a head stay; what is on the next line is found, because the patterns without them are searched too.
"""

import re

from ahocorasick_rs import BytesAhoCorasick

from controller.logs.masking.control_sequences import strip_breaks, unbroken, without_incomplete_break
from controller.logs.masking.prefixes import PrefixIndex
from controller.logs.masking.views import View, windows

MARK_BYTES = 6
MIN_HEAD = 4
MIN_RUN = 16
_TAIL_BYTES = 256
_DENSE_BYTES = 16
_LONG_BYTES = 4096
# Of a line: what looks encoded at its end, after a character that neither does nor is part of a line break.
_LAST_WORD = re.compile(rb"(?:[!-\[\]-~][ ]|[!-*,:-<>-@\[\]^`{-~])([A-Za-z0-9+/_=.-]{0,15})\n\Z")
_INDENTATION = re.compile(rb"[ \t]{0,64}")
_RUN = re.compile(rb"[A-Za-z0-9+/_=.-]*")


class WrappedPatterns:
    """The patterns of one set of secrets; each has 12 bytes or more, and none has white space."""

    def __init__(self, patterns: frozenset[bytes]) -> None:
        searched = sorted({each[skipped:] for each in patterns for skipped in range(MIN_HEAD)})
        self._automaton = BytesAhoCorasick(searched) if patterns else None
        self._prefixes = PrefixIndex(searched)
        self._parts = frozenset(each[at : at + MIN_HEAD] for each in patterns for at in range(len(each) - 3))
        # A line of 8 characters has an indentation of up to 64.
        self._reach = 10 * max(map(len, patterns), default=0) + _TAIL_BYTES
        self.marks = frozenset(mark for each in patterns for mark in _marks(each))

    def find_near(self, data: bytes, marks: list[int], before: bytes = b"") -> list[tuple[int, int]]:
        """Where the occurrences are in the data, which `before` precedes and which has marks there, as (start, end)."""
        found: list[tuple[int, int]] = []
        reach = self._reach
        for begin, end in windows(marks, reach, reach, len(data)):
            preceding = (before + data[max(0, begin - MIN_RUN) : begin])[-MIN_RUN:]
            found += ((begin + first, begin + last) for first, last in self.find(data[begin:end], preceding))
        return found

    def find(self, data: bytes, before: bytes = b"") -> list[tuple[int, int]]:
        """Where the occurrences are in the data, which `before` precedes, as (start, end)."""
        if self._automaton is None:
            return []
        view = unbroken(data)
        found = self._automaton.find_matches_as_indexes(view.text, overlapping=True)
        spans = {(start, end) for _, start, end in found}
        return [
            view.span(start, end)
            for start, end in spans
            if (
                _head_counts(data, before, view, start, end)
                if view.has_removed(start, end)
                # The search for literal patterns finds whole ones; this one may lack its head.
                else _is_after_break(data, before, view, start)
            )
        ]

    def pending_start(self, data: bytes, before: bytes = b"") -> int:
        """Where an occurrence may begin that the data cuts off; the data's length if there is none."""
        if self._automaton is None:
            return len(data)
        # Most lines end with a word that is no part of an encoded secret.
        word = _LAST_WORD.search(data, len(data) - MIN_RUN - 4)
        if word is not None and word[1][-MIN_HEAD:] not in self._parts:
            return len(data)
        # Without any of these there is no head that counts.
        tail = strip_breaks(without_incomplete_break(data[-_TAIL_BYTES:]))
        is_part = tail[-MIN_HEAD:] in self._parts
        if data.endswith(b"\n") and not is_part and _run_before(tail, len(tail)) < MIN_RUN:
            return len(data)
        begin = max(0, len(data) - self._reach)
        whole = without_incomplete_break(data[begin:])
        view = unbroken(whole)
        for length in self._prefixes.lengths(view.text):
            start = len(view.text) - length
            if _head_counts(whole, before if begin == 0 else b"", view, start, len(view.text)):
                position = begin + view.position(start)
                # With what looks encoded before it, which decides whether its head counts.
                return position - _run_before(data, position)
        return len(data)


def _marks(pattern: bytes) -> list[bytes]:
    """Parts of a pattern; a line of 8 bytes (of a long pattern 24) has one of them."""
    step = 1 if len(pattern) < _DENSE_BYTES else 3 if len(pattern) < _LONG_BYTES else 16
    return [pattern[at : at + MARK_BYTES] for at in range(0, len(pattern) - MARK_BYTES + 1, step)]


def _head_counts(data: bytes, before: bytes, view: View, start: int, end: int) -> bool:
    """Whether an occurrence in the view of the data, which may go on after it, counts although its head is short."""
    for index in range(start + 1, min(start + MIN_HEAD, end + 1)):
        head_end = view.end(index - 1)
        gap = data[head_end : view.position(index) if index < len(view.text) else len(data)]
        if _has_break(gap):
            text = (before if head_end < MIN_RUN else b"") + data[max(0, head_end - MIN_RUN) : head_end]
            return _run_before(text, len(text)) >= MIN_RUN
    return True


def _is_after_break(data: bytes, before: bytes, view: View, start: int) -> bool:
    if before.endswith(b"\n") and _INDENTATION.fullmatch(data, 0, view.position(start)) is not None:
        return True
    if start and not view.has_removed(start - 1, start + 1):
        return False
    gap = data[view.end(start - 1) if start else 0 : view.position(start)]
    return _has_break(gap)


def _has_break(gap: bytes) -> bool:
    return b"\n" in gap or b"\\n" in gap


def _run_before(data: bytes, position: int) -> int:
    """The number of bytes before the position, up to `MIN_RUN`, that look encoded."""
    before = data[max(0, position - MIN_RUN) : position][::-1]
    match = _RUN.match(before)
    return match.end() if match is not None else 0
