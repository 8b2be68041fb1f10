"""Sets of characters, as ranges of code points."""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass

Range = tuple[int, int]

_LAST = sys.maxunicode
DIGIT: tuple[Range, ...] = ((48, 57),)
SPACE: tuple[Range, ...] = ((9, 10), (12, 13), (32, 32))
WORD: tuple[Range, ...] = ((48, 57), (65, 90), (95, 95), (97, 122))
_UPPER, _LOWER = ((65, 90),), ((97, 122),)
POSIX: dict[str, tuple[Range, ...]] = {
    "alnum": (*DIGIT, *_UPPER, *_LOWER),
    "alpha": (*_UPPER, *_LOWER),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": DIGIT,
    "graph": ((33, 126),),
    "lower": _LOWER,
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": _UPPER,
    "word": WORD,
    "xdigit": (*DIGIT, (65, 70), (97, 102)),
}
# Of the general categories: a letter for each kind of them, and their names.
_KINDS = {"C": "cfos", "L": "lmotu", "M": "cen", "N": "dlo", "P": "cdefios", "S": "ckmo", "Z": "lps"}
CATEGORIES = frozenset({*_KINDS, *(kind + part for kind, parts in _KINDS.items() for part in parts)})


def inverted(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """All characters but these."""
    found, begin = [], 0
    for first, last in sorted(ranges):
        if first > begin:
            found.append((begin, first - 1))
        begin = max(begin, last + 1)
    return (*found, (begin, _LAST)) if begin <= _LAST else tuple(found)


@dataclass(frozen=True)
class Characters:
    """Which characters fit. `categories` are Unicode's, each with whether it is meant or all others are."""

    ranges: tuple[Range, ...] = ()
    categories: tuple[tuple[str, bool], ...] = ()
    negated: bool = False
    any_case: bool = False

    def fits(self, character: str) -> bool:
        ways = {character, character.lower(), character.upper()} if self.any_case else (character,)
        return any(self._fits(way) for way in ways if len(way) == 1) is not self.negated

    def _fits(self, character: str) -> bool:
        point = ord(character)
        if any(first <= point <= last for first, last in self.ranges):
            return True
        kind = unicodedata.category(character) if self.categories else ""
        return any(kind.startswith(name) is meant for name, meant in self.categories)
