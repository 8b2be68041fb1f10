"""Globs on branches, tags and paths.

`*` stays inside a path segment, `**` crosses them, `**/` is any number of folders, `?` is one character, `[a-z]` and
`[!a-z]` one of a set. What is kept as artifacts is matched by the agent, which imports nothing of ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_WILD = frozenset("*?[")
_DEEP = re.compile(r"(?:\*\*/){2,}")
_MOST_MASKS = 512


@dataclass(frozen=True)
class _Set:
    """One character of these ranges, or of all others; never a slash."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool

    def takes(self, character: str) -> bool:
        inside = any(first <= character <= last for first, last in self.ranges)
        return character != "/" and inside != self.negated


class _Glob:
    """A glob as a set of states, one bit each, all followed at once.

    A regular expression would try the ways through a glob like `*a*a*a*a*a*b` one by one, which takes for ever, and
    globs are other people's. Here a character of the text costs the same whatever came before it.
    """

    def __init__(self, glob: str) -> None:
        glob = _DEEP.sub("**/", glob)
        wild = next((place for place, character in enumerate(glob) if character in _WILD), len(glob))
        self.prefix = glob[:wild]
        """What every text that fits begins with."""
        self._set: list[_Set | str | None] = []
        self._stay = self._stay_inside = self._skip_one = self._skip_two = 0
        self._read(glob[wild:])
        self._masks: dict[str, int] = {}
        self._begin = self._closed(1)

    def _read(self, glob: str) -> None:
        place = 0
        while place < len(glob):
            bit = 1 << len(self._set)
            if glob.startswith("**/", place):
                # Nothing at all, or anything up to a slash.
                self._skip_one, self._skip_two = self._skip_one | bit, self._skip_two | bit
                self._stay |= bit << 1
                self._set += [None, "/"]
                place += 3
            elif glob[place] == "*":
                deep = glob.startswith("**", place)
                self._skip_one |= bit
                self._stay, self._stay_inside = self._stay | bit * deep, self._stay_inside | bit * (not deep)
                self._set.append(None)
                place += 1 + deep
            else:
                taken, one = _one_character(glob, place)
                self._set.append(one)
                place += taken

    def _closed(self, states: int) -> int:
        """These states and all that are reached from them without a character."""
        while True:
            more = states | (states & self._skip_one) << 1 | (states & self._skip_two) << 2
            if more == states:
                return states
            states = more

    def _mask(self, character: str) -> int:
        """The states that this character leads on from. Threads share a glob: each returns what it has itself."""
        known = self._masks.get(character)
        if known is None:
            known = sum(
                1 << n
                for n, one in enumerate(self._set)
                if one is not None and (one == character if isinstance(one, str) else one.takes(character))
            )
            if len(self._masks) < _MOST_MASKS:
                self._masks[character] = known
        return known

    def fits(self, text: str) -> bool:
        """Whether the whole text fits."""
        if not text.startswith(self.prefix):
            return False
        states = self._begin
        for character in text[len(self.prefix) :]:
            stay = self._stay | (0 if character == "/" else self._stay_inside)
            states = self._closed((states & self._mask(character)) << 1 | states & stay)
            if not states:
                return False
        return bool(states >> len(self._set) & 1)


def _one_character(glob: str, place: int) -> tuple[int, _Set | str]:
    """(characters of the glob, what they stand for) of what fits one character of the text.

    A set such as `[z-a]`, which means nothing, and a bracket that is not closed are taken as they stand.
    """
    if glob[place] == "?":
        return 1, _Set((), negated=True)
    negated = glob.startswith("[!", place)
    end = glob.find("]", place + (3 if negated else 2))
    if glob[place] != "[" or end < 0:
        return 1, glob[place]
    inner, ranges = glob[place + 1 + negated : end], []
    while inner:
        taken = 3 if inner[1:2] == "-" and len(inner) > 2 else 1
        ranges.append((inner[0], inner[taken - 1]))
        inner = inner[taken:]
    if any(first > last for first, last in ranges):
        return 1, "["
    return end + 1 - place, _Set(tuple(ranges), negated)


@lru_cache(maxsize=512)
def _glob(glob: str) -> _Glob:
    return _Glob(glob)


def match_path(glob: str, path: str) -> bool:
    """Whether a glob fits the whole path."""
    return _glob(glob).fits(path)


def match_ref(glob: str, text: str) -> bool:
    """Whether a glob fits the whole name of a branch or tag: as for a path, but a bare `*` fits everything."""
    return glob == "*" or match_path(glob, text)
