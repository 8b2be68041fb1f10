"""Masks secrets in a stream of bytes, however the stream is cut into chunks.

Every byte that belongs to an occurrence of a pattern is masked; overlapping occurrences become one `***`. Newlines
inside are kept (`***` on each line), so that the number of lines and their times stay right. Text that may be the
beginning of an occurrence is held back until that is decided, and nothing else is.

A log is searched as its reader sees it: control sequences and invisible characters within an occurrence don't count,
and are masked with it. Lines with backspaces or carriage returns are also searched as a terminal shows them.
"""

from collections.abc import Iterable

from ahocorasick_rs import BytesAhoCorasick, Implementation

from controller.logs.masking.control_sequences import (
    MAX_SEQUENCE_BYTES,
    has_controls,
    incomplete_start,
    rewritten_lines,
    strip_controls,
    visible,
    visible_text,
)
from controller.logs.masking.encodings import encode_secret_variants
from controller.logs.masking.prefixes import LinePrefixIndex, PrefixIndex
from controller.logs.masking.wrapped import WrappedPatterns

MASK = b"***"
_HEAD_BYTES = 6
"""Most data has none of the patterns' first bytes, which are found four times as fast as all of the patterns."""
MAX_HELD_BYTES = 128 * 1024
"""At most so much is held back, or twice the longest pattern: a step can't make the mask remember its whole output."""


class SecretPatterns:
    """The compiled patterns of a set of secret values; shared by all streams that use the same secrets."""

    def __init__(self, values: Iterable[bytes]) -> None:
        variants = encode_secret_variants(values)
        self._wrapped = WrappedPatterns(variants.wrapped)
        literal = sorted(variants.literal)
        heads = sorted(self._wrapped.marks | {each[:_HEAD_BYTES] for each in literal})
        self._is_mark = [each in self._wrapped.marks for each in heads]
        self._heads = BytesAhoCorasick(heads, implementation=Implementation.DFA) if literal else None
        self._automaton = BytesAhoCorasick(literal, implementation=Implementation.ContiguousNFA) if literal else None
        self._has_controls = any(strip_controls(each) != each for each in literal)
        self._in_line = PrefixIndex([each for each in literal if b"\n" not in each])
        self._over_lines = PrefixIndex([each for each in literal if b"\n" in each])
        self._line_ends = LinePrefixIndex([each for each in literal if b"\n" in each])
        self._longest = max(map(len, literal), default=0)
        self.max_held = max(MAX_HELD_BYTES, 2 * self._longest)

    def __bool__(self) -> bool:
        return self._automaton is not None

    def find(self, data: bytes) -> list[tuple[int, int]]:
        """All occurrences, also overlapping ones, as (start, end)."""
        if not has_controls(data):
            spans, is_marked = self._find_literal(data)
        else:
            in_view, is_marked = self._find_literal(visible_text(data))
            view = visible(data) if in_view else None
            spans = [view.span(start, end) for start, end in in_view] if view is not None else []
            if self._has_controls:
                spans += self._find_literal(data)[0]
            for line in rewritten_lines(data):
                spans += [line.span(start, end) for start, end in self._find_literal(line.text)[0]]
        return spans + self._wrapped.find(data) if is_marked else spans

    def _find_literal(self, text: bytes) -> tuple[list[tuple[int, int]], bool]:
        """The occurrences, and whether there may be some with line breaks within."""
        assert self._automaton is not None
        assert self._heads is not None
        heads = self._heads.find_matches_as_indexes(text, overlapping=True)
        if not heads:
            return [], False
        found = self._automaton.find_matches_as_indexes(text, overlapping=True)
        return [(start, end) for _, start, end in found], any(self._is_mark[head] for head, _, _ in heads)

    def pending_start(self, data: bytes) -> int:
        """Where the end of the data begins that may be the beginning of an occurrence."""
        whole = data[: incomplete_start(data)]
        starts = [len(whole), self._wrapped.pending_start(whole)]
        tail_at = max(0, len(whole) - 2 * self._longest - 2 * MAX_SEQUENCE_BYTES)
        tail = whole[tail_at:]
        if has_controls(tail):
            view = visible(tail)
            length = self._pending_length(view.text)
            starts.append(tail_at + view.position(len(view.text) - length) if length else len(whole))
            if self._has_controls:
                starts.append(len(data) - self._pending_length(data))
        else:
            starts.append(len(whole) - self._pending_length(whole))
            if len(whole) < len(data) and self._has_controls:
                starts.append(len(data) - self._pending_length(data))
        return max(min(starts), len(data) - self.max_held)

    def _pending_length(self, text: bytes) -> int:
        if text.endswith(b"\n"):
            return self._line_ends.longest(text)
        line_start = text.rfind(b"\n") + 1
        return max(self._in_line.longest(text, line_start), self._over_lines.longest(text, 0))


class SecretMasker:
    """The mask of one stream. Feed it the stream in any chunks, then flush it."""

    def __init__(self, patterns: SecretPatterns) -> None:
        self._patterns = patterns
        self._held = b""
        self._hidden = 0
        self._starred = False

    def feed(self, data: bytes) -> bytes:
        """Everything that is decided by now, masked."""
        if not self._patterns:
            return data
        data = self._held + data if self._held else data
        return self._mask(data, self._patterns.pending_start(data))

    def flush(self) -> bytes:
        """The rest: the stream has ended, so what was held back is not an occurrence."""
        held = self._held
        return self._mask(held, len(held)) if held else b""

    def _mask(self, data: bytes, decided: int) -> bytes:
        """Masks data[:decided] and holds the rest back.

        The first `_hidden` bytes belong to an occurrence that began before them and has its stars.
        """
        found = self._patterns.find(data)
        if not found and not self._hidden:
            self._held = data[decided:]
            return data[:decided]
        out: list[bytes] = []
        position = 0
        for start, end, is_open in self._masked_spans(found, decided):
            out.append(data[position:start])
            position = min(end, decided)
            out.append(self._mask_lines(data[start:position], is_open))
            self._hidden = max(0, end - decided)
        out.append(data[position:decided])
        self._held = data[decided:]
        return b"".join(out)

    def _masked_spans(self, found: list[tuple[int, int]], decided: int) -> list[tuple[int, int, bool]]:
        """What to mask, overlaps joined: (start, end, whether it began in earlier data)."""
        spans: list[tuple[int, int, bool]] = []
        current: tuple[int, int, bool] | None = (0, self._hidden, True) if self._hidden else None
        for start, end in sorted(found):
            if current is not None and start < current[1]:
                current = (current[0], max(end, current[1]), current[2])
                continue
            if current is not None:
                spans.append(current)
            current = (start, end, False)
        if current is not None:
            spans.append(current)
        return [span for span in spans if span[0] < decided or span[2]]

    def _mask_lines(self, hidden: bytes, is_open: bool) -> bytes:
        """Stars for each masked line, except for one that has them already."""
        starred = self._starred and is_open
        lines = []
        for number, line in enumerate(hidden.split(b"\n")):
            starred = starred and number == 0
            lines.append(MASK if line and not starred else b"")
            starred = starred or bool(line)
        self._starred = starred
        return b"\n".join(lines)
