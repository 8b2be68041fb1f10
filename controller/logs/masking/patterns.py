"""Finds the occurrences of secrets in a part of a log, and where one may begin that the part cuts off. Pure.

The text is searched as its reader sees it, and with its escapes undone (`layers`); encoded secrets also over line
breaks (`wrapped`), texts with line breaks for blanks (`folded`), and the bytes of dumps (`dumps`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from ahocorasick_rs import BytesAhoCorasick, Implementation

from controller.logs.masking.control_sequences import (
    MAX_SEQUENCE_BYTES,
    incomplete_start,
    rewritten_lines,
    strip_controls,
)
from controller.logs.masking.dumps import DumpPatterns
from controller.logs.masking.encodings import encode_secret_variants
from controller.logs.masking.escapes import notations
from controller.logs.masking.folded import FoldedPatterns
from controller.logs.masking.layers import Layer, layers
from controller.logs.masking.prefixes import LinePrefixIndex, PrefixIndex
from controller.logs.masking.views import windows
from controller.logs.masking.wrapped import WrappedPatterns

MAX_HELD_BYTES = 128 * 1024
"""At most so much is held back, or twice the longest pattern: a step can't make the mask remember its whole output."""
_MAX_BACKSLASHES = 16
_MIN_BEGINNING = 4
_HEAD_BYTES = 6
"""Most data has none of the patterns' first bytes, which are found four times as fast as all of the patterns."""


@dataclass
class _Marked:
    """Where in a text the heads of literal patterns are, and marks of wrapped ones; what else may be in it."""

    heads: list[int]
    wrapped: list[int]
    may_be_dumped: bool = False
    may_be_folded: bool = False


class SecretPatterns:
    """The compiled patterns of a set of secret values; shared by all streams that use the same secrets."""

    def __init__(self, values: Iterable[bytes]) -> None:
        variants = encode_secret_variants(values)
        literal = sorted(variants.literal)
        self._wrapped = WrappedPatterns(variants.wrapped)
        self._dumps = DumpPatterns(variants.dumped)
        self._folded = FoldedPatterns(variants.folded)
        marks = (
            frozenset(each[:_HEAD_BYTES] for each in literal),
            *(self._wrapped.marks, self._dumps.marks, self._folded.marks),
        )
        heads = sorted(frozenset().union(*marks))
        self._marks = [tuple(each in kind for kind in marks) for each in heads]
        self._heads = BytesAhoCorasick(heads, implementation=Implementation.DFA) if literal else None
        self._automaton = BytesAhoCorasick(literal, implementation=Implementation.ContiguousNFA) if literal else None
        self._notations = notations(literal)
        self._has_controls = any(strip_controls(each) != each for each in literal)
        self._in_line = PrefixIndex([each for each in literal if b"\n" not in each])
        self._over_lines = PrefixIndex([each for each in literal if b"\n" in each])
        self._line_ends = LinePrefixIndex([each for each in literal if b"\n" in each])
        self._has_lines = any(b"\n" in each for each in literal)
        self._longest = max(map(len, literal), default=0)
        self.max_held = max(MAX_HELD_BYTES, 2 * self._longest)

    def __bool__(self) -> bool:
        return self._automaton is not None

    def find(self, data: bytes, before: bytes = b"", *, is_line_start: bool = True) -> list[tuple[int, int]]:
        """All occurrences, also overlapping ones, as (start, end).

        `before` is the end of what precedes the data, whose last line it continues unless `is_line_start`.
        """
        spans: list[tuple[int, int]] = []
        has_removed = False
        for layer in layers(data, self._notations):
            has_removed |= layer.has_removed
            spans += [layer.span(start, end) for start, end in self._find_in(layer, before)]
        if self._has_controls and has_removed:
            for layer in layers(data, self._notations, keeps_controls=True):
                spans += [layer.span(start, end) for start, end in self._find_in(layer, before)]
        for line in rewritten_lines(data):
            if line.start or is_line_start:
                spans += [line.span(start, end) for start, end in self._find_literal(line.text)]
        return spans

    def _find_in(self, layer: Layer, before: bytes) -> list[tuple[int, int]]:
        """The occurrences in one layer of the data that are not in its parent."""
        text, marked = layer.text, self._marked(layer.text)
        found = [span for span in self._find_at(text, marked.heads) if layer.is_new(*span)]
        if marked.wrapped:
            found += self._wrapped.find_near(text, marked.wrapped, before)
        if marked.may_be_folded:
            found += self._folded.find(text)
        if marked.may_be_dumped and layer.parent is None:
            found += self._dumps.find(text)
        return found

    def _find_literal(self, text: bytes) -> list[tuple[int, int]]:
        return self._find_at(text, self._marked(text).heads)

    def _marked(self, text: bytes) -> _Marked:
        """Where the patterns may be in the text."""
        assert self._heads is not None
        marked = _Marked([], [])
        for head, start, _ in self._heads.find_matches_as_indexes(text, overlapping=True):
            is_head, is_wrapped, is_dumped, is_folded = self._marks[head]
            if is_head:
                marked.heads.append(start)
            if is_wrapped:
                marked.wrapped.append(start)
            marked.may_be_dumped |= is_dumped
            marked.may_be_folded |= is_folded
        return marked

    def _find_at(self, text: bytes, heads: list[int]) -> list[tuple[int, int]]:
        """The occurrences of literal patterns, which begin at some of these places."""
        assert self._automaton is not None
        found: list[tuple[int, int]] = []
        for begin, end in windows(heads, 0, self._longest, len(text)):
            part = self._automaton.find_matches_as_indexes(text[begin:end], overlapping=True)
            found += ((begin + first, begin + last) for _, first, last in part)
        return found

    def pending_start(self, data: bytes, before: bytes = b"") -> int:
        """Where the end of the data begins that may be the beginning of an occurrence."""
        # Of the end only: an escape has up to six characters for one, and there may be control sequences within.
        tail_at = max(0, len(data) - 6 * self._longest - 2 * MAX_SEQUENCE_BYTES)
        tail = data[tail_at:]
        whole = tail[: incomplete_start(tail)]
        starts = [len(whole)]
        is_cut = self._has_lines or not data.endswith(b"\n")
        has_removed = False
        for layer in layers(whole, self._notations, is_cut=is_cut):
            has_removed |= layer.has_removed
            starts += self._pending_in(layer, before if tail_at == 0 else b"")
        if self._has_controls and has_removed:
            for layer in layers(whole, self._notations, is_cut=is_cut, keeps_controls=True):
                starts += self._pending_in(layer, b"")
        start = max(tail_at + min(starts), len(data) - self.max_held)
        # Not within an escape: the rest of `\n` would be taken for text.
        before_start = data[max(0, start - _MAX_BACKSLASHES) : start]
        return start - len(before_start) + len(before_start.rstrip(b"\\"))

    def pending_start_of_state(self, data: bytes, before: bytes = b"") -> int:
        """The same for data that ends in a carriage return, behind which the line is written anew.

        What may be the beginning of a dump or of an escape ends there. The beginning of a secret may go on behind it,
        unless it has only so few bytes that it is one by chance.
        """
        line = data.rstrip(b"\r") + b"\n"
        start = self.pending_start(line, before)
        if start < len(line) or self._pending_length(strip_controls(data)) < _MIN_BEGINNING:
            return min(start, len(data))
        return self.pending_start(data, before)

    def _pending_in(self, layer: Layer, before: bytes) -> list[int]:
        """Where the same begins for one layer of the data, if there is any."""
        text = layer.text
        starts = [len(text)] if layer.is_cut else []
        if length := self._pending_length(text):
            starts.append(len(text) - length)
        if (start := self._wrapped.pending_start(text, before)) < len(text):
            starts.append(start)
        if (start := self._folded.pending_start(text)) < len(text):
            starts.append(start)
        if layer.parent is None and (start := self._dumps.pending_start(text)) < len(text):
            starts.append(start)
        return [layer.position(min(starts))] if starts else []

    def _pending_length(self, text: bytes) -> int:
        if text.endswith(b"\n"):
            return self._line_ends.longest(text)
        line_start = text.rfind(b"\n") + 1
        return max(self._in_line.longest(text, line_start), self._over_lines.longest(text, 0))


@cache
def no_patterns() -> SecretPatterns:
    """The patterns of no secrets; compiled once, because most steps use none."""
    return SecretPatterns(())
