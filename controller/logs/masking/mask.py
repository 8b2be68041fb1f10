"""Masks secrets in a stream of bytes, however the stream is cut into chunks.

Every byte that belongs to an occurrence of a pattern is masked; overlapping occurrences become one `***`. Newlines
inside are kept (`***` on each line), so that the number of lines and their times stay right. Text that may be the
beginning of an occurrence is held back until that is decided, and nothing else is.
"""

from bisect import bisect_left
from collections.abc import Iterable

from ahocorasick_rs import BytesAhoCorasick

from controller.logs.masking.encodings import encode_secret_variants

MASK = b"***"
_SHORT_PATTERN_BYTES = 256


class SecretPatterns:
    """The compiled patterns of a set of secret values; shared by all streams that use the same secrets."""

    def __init__(self, values: Iterable[bytes]) -> None:
        patterns = sorted(encode_secret_variants(values))
        self._automaton = BytesAhoCorasick(patterns) if patterns else None
        self._in_line = _PrefixIndex([each for each in patterns if b"\n" not in each])
        self._over_lines = _PrefixIndex([each for each in patterns if b"\n" in each])
        self._line_ends = _LinePrefixIndex([each for each in patterns if b"\n" in each])

    def __bool__(self) -> bool:
        return self._automaton is not None

    def find(self, data: bytes) -> list[tuple[int, int, int]]:
        """All occurrences, also overlapping ones, as (pattern, start, end)."""
        assert self._automaton is not None
        found: list[tuple[int, int, int]] = self._automaton.find_matches_as_indexes(data, overlapping=True)
        return found

    def pending_length(self, data: bytes) -> int:
        """The number of bytes at the end that may be the beginning of an occurrence."""
        if data.endswith(b"\n"):
            return self._line_ends.longest(data)
        line_start = data.rfind(b"\n") + 1
        return max(self._in_line.longest(data, line_start), self._over_lines.longest(data, 0))


class _PrefixIndex:
    """Finds the longest end of some data that is a proper prefix of a pattern."""

    def __init__(self, patterns: list[bytes]) -> None:
        self._sorted = patterns
        self._far = [each for each in patterns if len(each) > _SHORT_PATTERN_BYTES]

    def longest(self, data: bytes, start: int) -> int:
        """The length of that end, 0 for none; it does not begin before `start`."""
        if not self._sorted:
            return 0
        far = max((_prefix_length(data, each, start) for each in self._far), default=0)
        begin = max(start, len(data) - _SHORT_PATTERN_BYTES)
        if far > len(data) - begin:
            return far
        for position in range(begin, len(data)):
            end = data[position:]
            at = bisect_left(self._sorted, end)
            if at < len(self._sorted) and self._sorted[at] == end:
                at += 1
            if at < len(self._sorted) and self._sorted[at].startswith(end):
                return len(end)
        return 0


def _prefix_length(data: bytes, pattern: bytes, start: int) -> int:
    """The length of the longest end of the data that is a proper prefix of this pattern."""
    head = pattern[:8]
    position = data.find(head, max(start, len(data) - len(pattern) + 1))
    while position >= 0:
        if pattern.startswith(data[position:]):
            return len(data) - position
        position = data.find(head, position + 1)
    return 0


class _LinePrefixIndex:
    """The same for data that ends in a newline, the usual case: only the few prefixes that end so count."""

    def __init__(self, patterns: list[bytes]) -> None:
        firsts: set[bytes] = set()
        self._later: dict[bytes, list[bytes]] = {}
        for pattern in patterns:
            beginning = b""
            for text in pattern.split(b"\n")[:-1]:
                line = text + b"\n"
                beginning += line
                if len(beginning) == len(pattern):
                    break
                if beginning == line:
                    firsts.add(line)
                else:
                    self._later.setdefault(line, []).append(beginning)
        self._firsts = tuple(sorted(firsts, key=len, reverse=True))

    def longest(self, data: bytes) -> int:
        """The length of the longest end of the data that is a proper prefix of a pattern."""
        if not self._firsts:
            return 0
        last_line = data[data.rfind(b"\n", 0, len(data) - 1) + 1 :]
        found = max((len(each) for each in self._later.get(last_line, ()) if data.endswith(each)), default=0)
        if found or not data.endswith(self._firsts):
            return found
        return next(len(each) for each in self._firsts if data.endswith(each))


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
        return self._mask(data, len(data) - self._patterns.pending_length(data))

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

    def _masked_spans(self, found: list[tuple[int, int, int]], decided: int) -> list[tuple[int, int, bool]]:
        """What to mask, overlaps joined: (start, end, whether it began in earlier data)."""
        spans: list[tuple[int, int, bool]] = []
        current: tuple[int, int, bool] | None = (0, self._hidden, True) if self._hidden else None
        for start, end in sorted((start, end) for _, start, end in found):
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
