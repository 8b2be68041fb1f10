"""Steps through a program by all its ways at once, so that no text makes it try again and again.

What a set of ways becomes with a character is remembered, so that most characters cost one look. Still, large
programs on large texts take long: the work is counted, and ended at a bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from embedded.patterns.parse import Assert, Fork, Program, Take, program

_WORK = 2_000_000
"""Steps that one search may take: about half a second."""
_REMEMBERED = 50_000
"""Places that a pattern keeps of what it has learnt."""

_Ways = tuple[int, ...]
"""Places in the program, the preferred first."""


class TooLongError(Exception):
    """The search was given up; the message names the pattern."""


@lru_cache(maxsize=128)
def compiled(text: str) -> Pattern:
    """Raises:
    PatternError: it is none.
    """
    return Pattern(text)


class Pattern:
    """One regular expression. All its methods raise `TooLongError`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._program: Program = program(text)
        self._known: dict[tuple[_Ways, str, str], tuple[_Ways, bool]] = {}
        self._work = self._places = 0

    def is_in(self, text: str) -> bool:
        """Whether it matches anywhere in the text."""
        self._work = 0
        ways: _Ways = ()
        before = ""
        for character in (*text, ""):
            key = (ways, _kind(before), character)
            known = self._known.get(key)
            if known is None:
                known = self._known_from_now(key, before)
            else:
                self._spend(1)
            ways, matched = known
            if matched:
                return True
            before = character
        return False

    def _known_from_now(self, key: tuple[_Ways, str, str], before: str) -> tuple[_Ways, bool]:
        ways, _, character = key
        # A match may begin at every place.
        places = self._closed((*ways, 0), before, character)
        matched = len(self._program) in places
        following = () if matched else tuple(sorted({way + 1 for way in places if self._takes(way, character)}))
        self._places += len(ways) + len(following) + 1
        if self._places > _REMEMBERED:
            self._known.clear()
            self._places = 0
        self._known[key] = following, matched
        return following, matched

    def find(self, text: str, start: int = 0) -> tuple[int, int] | None:
        """Where it matches first, as Perl and Go prefer among the ways to match there."""
        self._work = 0
        ways: dict[int, int] = {}
        found: tuple[int, int] | None = None
        before = text[start - 1] if start else ""
        for at in range(start, len(text) + 1):
            character = text[at] if at < len(text) else ""
            if found is None:
                ways.setdefault(0, at)
            following: dict[int, int] = {}
            for way, begun in self._in_order(ways, before, character):
                if way == len(self._program):
                    found = begun, at
                    # What comes after this one is less preferred.
                    break
                if self._takes(way, character):
                    following.setdefault(way + 1, begun)
            if not following and found is not None:
                break
            ways, before = following, character
        return found

    def find_all(self, text: str) -> Iterator[str]:
        """The matches one after the other."""
        at = 0
        while at <= len(text) and (found := self.find(text, at)) is not None:
            yield text[found[0] : found[1]]
            at = found[1] if found[1] > found[0] else found[1] + 1

    def _in_order(self, ways: dict[int, int], before: str, after: str) -> Iterator[tuple[int, int]]:
        seen: set[int] = set()
        for way, begun in ways.items():
            for place in self._closed((way,), before, after):
                if place not in seen:
                    seen.add(place)
                    yield place, begun

    def _takes(self, way: int, character: str) -> bool:
        step = self._program[way] if way < len(self._program) else None
        return bool(character) and isinstance(step, Take) and step.characters.fits(character)

    def _closed(self, ways: _Ways, before: str, after: str) -> _Ways:
        """All places that can be come to without taking a character, the preferred first."""
        found: dict[int, None] = {}
        waiting = list(reversed(ways))
        while waiting:
            way = waiting.pop()
            if way in found:
                continue
            found[way] = None
            self._spend(1)
            step = self._program[way] if way < len(self._program) else None
            if isinstance(step, Fork):
                waiting += (way + step.second, way + step.first)
            elif isinstance(step, Assert) and _holds(step.what, before, after):
                waiting.append(way + 1)
        return tuple(found)

    def _spend(self, steps: int) -> None:
        self._work += steps
        if self._work > _WORK:
            raise TooLongError(f"the search for '{self.text[:100]}' takes too long")


def _is_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")


def _kind(before: str) -> str:
    """What of the character before a place can matter."""
    return before if before in ("", "\n") else "w" if _is_word(before) else " "


def _holds(what: str, before: str, after: str) -> bool:
    if what == "A":
        return before == ""
    if what == "z":
        return after == ""
    if what == "^":
        return before in ("", "\n")
    if what == "$":
        return after in ("", "\n")
    return (_is_word(before) is not _is_word(after)) is (what == "b")
