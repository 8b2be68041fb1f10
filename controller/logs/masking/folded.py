"""Finds secrets with blanks that a program has folded there, as YAML and `fmt` do: a line break for a blank. Pure.

As with `wrapped`, only data with a mark, a short part of such a secret, is searched.
"""

import re

from ahocorasick_rs import BytesAhoCorasick

from controller.logs.masking.prefixes import PrefixIndex
from controller.logs.masking.views import View, replaced_view

MIN_FOLDED_BYTES = 12
MAX_FOLDED_BYTES = 1024
_MARK_BYTES = 6
_END_BYTES = 4
_TAIL_BYTES = 65 * (_END_BYTES + 1)
_BREAK = re.compile(rb"\n[ \t]{0,64}")


class FoldedPatterns:
    """The secrets of one set that have blanks; none has a line break."""

    def __init__(self, secrets: frozenset[bytes]) -> None:
        self._automaton = BytesAhoCorasick(sorted(secrets)) if secrets else None
        self._prefixes = PrefixIndex(sorted(secrets))
        self._ends = _prefix_ends(secrets)
        self._longest = max(map(len, secrets), default=0)
        # Folded once, the secret has one of these in one piece.
        self.marks = frozenset(
            each[at : at + _MARK_BYTES] for each in secrets for at in range(len(each) - _MARK_BYTES + 1)
        )

    def find(self, data: bytes) -> list[tuple[int, int]]:
        """Where the occurrences with a line break are in the data, as (start, end)."""
        if self._automaton is None:
            return []
        view = _unfolded(data)
        found = self._automaton.find_matches_as_indexes(view.text, overlapping=True)
        return [view.span(start, end) for _, start, end in found if not view.is_same(start, end)]

    def pending_start(self, data: bytes) -> int:
        """Where an occurrence may begin that the data cuts off; the data's length if there is none."""
        if self._automaton is None:
            return len(data)
        tail = _BREAK.sub(b" ", data[-_TAIL_BYTES:])
        if not any(tail[-size:] in self._ends for size in range(1, _END_BYTES + 1)):
            return len(data)
        begin = max(0, len(data) - 10 * self._longest)
        view = _unfolded(data[begin:])
        length = self._prefixes.longest(view.text)
        return begin + view.position(len(view.text) - length) if length else len(data)


def _prefix_ends(secrets: frozenset[bytes]) -> frozenset[bytes]:
    """The last bytes of all beginnings of these secrets."""
    return frozenset(each[max(0, end - _END_BYTES) : end] for each in secrets for end in range(1, len(each)))


def _unfolded(data: bytes) -> View:
    breaks = ((match.span(), 1) for match in _BREAK.finditer(data))
    return replaced_view(_BREAK.sub(b" ", data), breaks)
