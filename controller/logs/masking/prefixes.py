"""Finds how much of the end of some data may be the beginning of a pattern. Pure."""

from bisect import bisect_left
from collections.abc import Iterator

from ahocorasick_rs import BytesAhoCorasick, Implementation

_SHORT_PATTERN_BYTES = 256
_HEAD_BYTES = 4
_FAR_HEAD_BYTES = 8


class PrefixIndex:
    """Finds the ends of some data that are proper prefixes of patterns."""

    def __init__(self, patterns: list[bytes]) -> None:
        self._sorted = sorted(patterns)
        self._heads = frozenset(each[:_HEAD_BYTES] for each in patterns)
        self._far: dict[bytes, list[bytes]] = {}
        for each in patterns:
            if len(each) > _SHORT_PATTERN_BYTES:
                self._far.setdefault(each[:_FAR_HEAD_BYTES], []).append(each)
        self._far_heads = BytesAhoCorasick(list(self._far), implementation=Implementation.DFA) if self._far else None
        self._longest = max(map(len, patterns), default=0)

    def longest(self, data: bytes, start: int = 0) -> int:
        """The length of the longest of these ends, 0 for none; it does not begin before `start`."""
        return next(self.lengths(data, start), 0)

    def lengths(self, data: bytes, start: int = 0) -> Iterator[int]:
        """The lengths of these ends that do not begin before `start`, the longest first."""
        if not self._sorted:
            return
        begin = max(start, len(data) - _SHORT_PATTERN_BYTES)
        yield from self._far_lengths(data, start, len(data) - begin)
        heads = self._heads
        for position in range(begin, len(data)):
            if data[position : position + _HEAD_BYTES] in heads or position > len(data) - _HEAD_BYTES:
                end = data[position:]
                at = bisect_left(self._sorted, end)
                if at < len(self._sorted) and self._sorted[at] == end:
                    at += 1
                if at < len(self._sorted) and self._sorted[at].startswith(end):
                    yield len(end)

    def _far_lengths(self, data: bytes, start: int, least: int) -> list[int]:
        """Those over `least`, of the long patterns."""
        if self._far_heads is None:
            return []
        window = data[max(start, len(data) - self._longest + 1) :]
        heads = {head for head, _, _ in self._far_heads.find_matches_as_indexes(window, overlapping=True)}
        patterns = list(self._far.values())
        found = {
            length
            for head in heads
            for each in patterns[head]
            for length in _prefix_lengths(data, each, start)
            if length > least
        }
        return sorted(found, reverse=True)


def _prefix_lengths(data: bytes, pattern: bytes, start: int) -> Iterator[int]:
    """The lengths of the ends of the data that are proper prefixes of this pattern, and longer than its head."""
    head = pattern[:_FAR_HEAD_BYTES]
    position = data.find(head, max(start, len(data) - len(pattern) + 1))
    while position >= 0:
        if pattern.startswith(data[position:]):
            yield len(data) - position
        position = data.find(head, position + 1)


class LinePrefixIndex:
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
