"""Finds how much of the end of some data may be the beginning of a pattern. Pure."""

from bisect import bisect_left

from ahocorasick_rs import BytesAhoCorasick, Implementation

_SHORT_PATTERN_BYTES = 256
_HEAD_BYTES = 4
_FAR_HEAD_BYTES = 8


class PrefixIndex:
    """Finds the longest end of some data that is a proper prefix of a pattern."""

    def __init__(self, patterns: list[bytes]) -> None:
        self._sorted = patterns
        self._heads = frozenset(each[:_HEAD_BYTES] for each in patterns)
        self._far: dict[bytes, list[bytes]] = {}
        for each in patterns:
            if len(each) > _SHORT_PATTERN_BYTES:
                self._far.setdefault(each[:_FAR_HEAD_BYTES], []).append(each)
        self._far_heads = BytesAhoCorasick(list(self._far), implementation=Implementation.DFA) if self._far else None
        self._longest = max(map(len, patterns), default=0)

    def longest(self, data: bytes, start: int = 0) -> int:
        """The length of that end, 0 for none; it does not begin before `start`."""
        if not self._sorted:
            return 0
        far = self._longest_far(data, start)
        begin = max(start, len(data) - _SHORT_PATTERN_BYTES)
        if far > len(data) - begin:
            return far
        heads = self._heads
        for position in range(begin, len(data)):
            if data[position : position + _HEAD_BYTES] in heads or position > len(data) - _HEAD_BYTES:
                end = data[position:]
                at = bisect_left(self._sorted, end)
                if at < len(self._sorted) and self._sorted[at] == end:
                    at += 1
                if at < len(self._sorted) and self._sorted[at].startswith(end):
                    return len(end)
        return 0

    def _longest_far(self, data: bytes, start: int) -> int:
        """The same for the long patterns, apart from ends that are shorter than their heads."""
        if self._far_heads is None:
            return 0
        window = data[max(start, len(data) - self._longest + 1) :]
        heads = {head for head, _, _ in self._far_heads.find_matches_as_indexes(window, overlapping=True)}
        if not heads:
            return 0
        patterns = list(self._far.values())
        return max(_prefix_length(data, each, start) for head in heads for each in patterns[head])


def _prefix_length(data: bytes, pattern: bytes, start: int) -> int:
    """The length of the longest end of the data that is a proper prefix of this pattern."""
    head = pattern[:_FAR_HEAD_BYTES]
    position = data.find(head, max(start, len(data) - len(pattern) + 1))
    while position >= 0:
        if pattern.startswith(data[position:]):
            return len(data) - position
        position = data.find(head, position + 1)
    return 0


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
