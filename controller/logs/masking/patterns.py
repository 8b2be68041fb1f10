"""Finds the occurrences of secrets in a part of a log, and where one may begin that the part cuts off. Pure.

The text is searched as its reader sees it, and with its escapes undone (`layers`); encoded secrets also over line
breaks (`wrapped`), texts with line breaks for blanks (`folded`), and the bytes of dumps (`dumps`).
"""

from collections.abc import Iterable

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
from controller.logs.masking.wrapped import WrappedPatterns

MAX_HELD_BYTES = 128 * 1024
"""At most so much is held back, or twice the longest pattern: a step can't make the mask remember its whole output."""
_HEAD_BYTES = 6
"""Most data has none of the patterns' first bytes, which are found four times as fast as all of the patterns."""


class SecretPatterns:
    """The compiled patterns of a set of secret values; shared by all streams that use the same secrets."""

    def __init__(self, values: Iterable[bytes]) -> None:
        variants = encode_secret_variants(values)
        literal = sorted(variants.literal)
        self._wrapped = WrappedPatterns(variants.wrapped)
        self._dumps = DumpPatterns(variants.dumped)
        self._folded = FoldedPatterns(variants.folded)
        marks = (self._wrapped.marks, self._dumps.marks, self._folded.marks)
        heads = sorted(frozenset().union(*marks) | {each[:_HEAD_BYTES] for each in literal})
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
        for layer in layers(data, self._notations):
            found, may_be_wrapped, may_be_dumped, may_be_folded = self._find_literal(layer.text)
            found = [span for span in found if layer.is_new(*span)]
            if may_be_wrapped:
                found += self._wrapped.find(layer.text, before)
            if may_be_folded:
                found += self._folded.find(layer.text)
            if may_be_dumped and layer.parent is None:
                found += self._dumps.find(layer.text)
            spans += [layer.span(start, end) for start, end in found]
            if self._has_controls and layer.has_removed:
                unread = layer.unread
                spans += [unread.span(start, end) for start, end in self._find_literal(unread.text)[0]]
        for line in rewritten_lines(data):
            if line.start or is_line_start:
                spans += [line.span(start, end) for start, end in self._find_literal(line.text)[0]]
        return spans

    def _find_literal(self, text: bytes) -> tuple[list[tuple[int, int]], bool, bool, bool]:
        """The occurrences, and whether there may be wrapped, dumped and folded ones."""
        assert self._automaton is not None
        assert self._heads is not None
        heads = self._heads.find_matches_as_indexes(text, overlapping=True)
        if not heads:
            return [], False, False, False
        found = self._automaton.find_matches_as_indexes(text, overlapping=True)
        marks = [self._marks[head] for head in {head for head, _, _ in heads}]
        spans = [(start, end) for _, start, end in found]
        return spans, any(each[0] for each in marks), any(each[1] for each in marks), any(each[2] for each in marks)

    def pending_start(self, data: bytes, before: bytes = b"") -> int:
        """Where the end of the data begins that may be the beginning of an occurrence."""
        # Of the end only: an escape has up to six characters for one, and there may be control sequences within.
        tail_at = max(0, len(data) - 6 * self._longest - 2 * MAX_SEQUENCE_BYTES)
        tail = data[tail_at:]
        whole = tail[: incomplete_start(tail)]
        starts = [len(whole)]
        is_cut = self._has_lines or not data.endswith(b"\n")
        for layer in layers(whole, self._notations, is_cut=is_cut):
            starts += self._pending_in(layer, before if tail_at == 0 else b"")
            if self._has_controls and layer.has_removed:
                starts += self._pending_in(layer.unread, b"")
        return max(tail_at + min(starts), len(data) - self.max_held)

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
