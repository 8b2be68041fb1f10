"""Globs on paths and on the names of branches and tags.

`*` matches within a path segment, `**` across segments, `**/` any number of folders, `?` one character, `[a-z]` and
`[!a-z]` one character of a set. The agent has a matcher of its own for artifacts, because it imports no other package.

A glob is matched by an automaton whose states are the bits of an integer. Its time is bounded by the length of the glob
times that of the text, which matters because globs are untrusted; docs/adr/0008 compares it with RE2. Transitions that
were taken once are remembered, up to a number: matching many similar texts costs a look-up for each character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_WILDCARDS = frozenset("*?[")
_REPEATED_FOLDERS = re.compile(r"(?:\*\*/){2,}")
_MAX_MASKS = 512
_MAX_TRANSITIONS = 2_000
_MAX_COMPILED = 128
"""Globs that are remembered. With all their masks and transitions full, they take less than 50 MB."""


@dataclass(frozen=True)
class _CharacterSet:
    """One character in these ranges, or outside of them; never a slash."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool

    def matches(self, character: str) -> bool:
        in_range = any(first <= character <= last for first, last in self.ranges)
        return character != "/" and in_range != self.negated


class _State:
    """A set of the automaton's states. `following` holds the remembered transitions: None where nothing can match."""

    __slots__ = ("accepts", "bits", "following")

    def __init__(self, bits: int, accepts: bool) -> None:
        self.bits = bits
        self.accepts = accepts
        self.following: dict[str, _State | None] = {}


class _Glob:
    """A glob as a nondeterministic automaton: bit n of an integer is the state before its n-th element.

    `_loop` are the states that stay active for any character, `_loop_in_segment` for any character but a slash;
    `_skip_one` and `_skip_two` are those that lead on without a character, by one state or by two.
    """

    def __init__(self, glob: str) -> None:
        glob = _REPEATED_FOLDERS.sub("**/", glob)
        first = next((index for index, character in enumerate(glob) if character in _WILDCARDS), len(glob))
        self.prefix = glob[:first]
        """What every text that matches begins with."""
        last = max(glob.rfind(character) for character in "*?[]")
        self.suffix = glob[last + 1 :].removeprefix("/") if last >= first else ""
        """What every text that matches ends with; without the slash that `**/` may stand for."""
        self._elements: list[_CharacterSet | str | None] = []
        self._loop = self._loop_in_segment = self._skip_one = self._skip_two = 0
        self._parse(glob[first:])
        self._masks: dict[str, int] = {}
        self._states: dict[int, _State] = {}
        self._remembered = 0
        self._start = self._state(self._with_skips(1))

    def _parse(self, glob: str) -> None:
        index = 0
        while index < len(glob):
            bit = 1 << len(self._elements)
            if glob.startswith("**/", index):
                # Nothing at all, or anything up to a slash.
                self._skip_one, self._skip_two = self._skip_one | bit, self._skip_two | bit
                self._loop |= bit << 1
                self._elements += [None, "/"]
                index += 3
            elif glob[index] == "*":
                across = glob.startswith("**", index)
                self._skip_one |= bit
                self._loop, self._loop_in_segment = (
                    self._loop | bit * across,
                    self._loop_in_segment | bit * (not across),
                )
                self._elements.append(None)
                index += 1 + across
            else:
                length, element = _parse_character(glob, index)
                self._elements.append(element)
                index += length

    def _with_skips(self, states: int) -> int:
        """These states and those that they reach without a character."""
        while True:
            reached = states | (states & self._skip_one) << 1 | (states & self._skip_two) << 2
            if reached == states:
                return states
            states = reached

    def _mask(self, character: str) -> int:
        """The states that this character leads on from."""
        mask = self._masks.get(character)
        if mask is None:
            mask = sum(
                1 << n
                for n, element in enumerate(self._elements)
                if element is not None
                and (element == character if isinstance(element, str) else element.matches(character))
            )
            # Threads share a glob: each returns its own result, whatever is stored.
            if len(self._masks) < _MAX_MASKS:
                self._masks[character] = mask
        return mask

    def matches(self, text: str) -> bool:
        """Whether the glob matches the whole text."""
        if not text.startswith(self.prefix) or not text.endswith(self.suffix):
            return False
        state = self._start
        for character in text[len(self.prefix) :]:
            try:
                following = state.following[character]
            except KeyError:
                following = self._follow(state, character)
            if following is None:
                return False
            state = following
        return state.accepts

    def _follow(self, state: _State, character: str) -> _State | None:
        """The state after a character. Threads share a glob: what they store is the same, whichever comes first."""
        loop = self._loop | (0 if character == "/" else self._loop_in_segment)
        bits = self._with_skips((state.bits & self._mask(character)) << 1 | state.bits & loop)
        following = self._state(bits) if bits else None
        if self._remembered < _MAX_TRANSITIONS:
            self._remembered += 1
            state.following[character] = following
        return following

    def _state(self, bits: int) -> _State:
        known = self._states.get(bits)
        if known is None:
            known = _State(bits, bool(bits >> len(self._elements) & 1))
            if self._remembered < _MAX_TRANSITIONS:
                self._states[bits] = known
        return known


def _parse_character(glob: str, index: int) -> tuple[int, _CharacterSet | str]:
    """The element at `index` that matches one character, and its length in the glob.

    An empty range such as `[z-a]` and a bracket that is not closed stand for themselves.
    """
    if glob[index] == "?":
        return 1, _CharacterSet((), negated=True)
    negated = glob.startswith("[!", index)
    end = glob.find("]", index + (3 if negated else 2))
    if glob[index] != "[" or end < 0:
        return 1, glob[index]
    rest, ranges = glob[index + 1 + negated : end], []
    while rest:
        length = 3 if rest[1:2] == "-" and len(rest) > 2 else 1
        ranges.append((rest[0], rest[length - 1]))
        rest = rest[length:]
    if any(first > last for first, last in ranges):
        return 1, "["
    return end + 1 - index, _CharacterSet(tuple(ranges), negated)


@lru_cache(maxsize=_MAX_COMPILED)
def _compile(glob: str) -> _Glob:
    return _Glob(glob)


def literal_prefix(glob: str) -> str:
    """What every path that matches begins with: the glob up to its first wildcard, or all of it."""
    return _compile(glob).prefix


def match_path(glob: str, path: str) -> bool:
    """Whether a glob matches the whole path."""
    return _compile(glob).matches(path)


def match_ref(glob: str, name: str) -> bool:
    """Whether a glob matches the whole name of a branch or tag: as with a path, but a bare `*` matches everything."""
    return glob == "*" or match_path(glob, name)
