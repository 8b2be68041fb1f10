"""What the command palette offers, and how it matches what is typed: synonyms, parts of words, typing errors. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

PaletteKind = Literal["action", "run", "step", "file", "artifact", "pipeline"]

_SYNONYMS = (
    "rerun retry repeat again restart",
    "resume continue proceed",
    "run start launch execute build",
    "cancel stop abort kill terminate",
    "delete remove erase",
    "secret secrets password credential credentials token environment env variable variables",
    "artifact artifacts output outputs download downloads",
    "yaml yml definition spec manifest pipeline",
    "history messages message notifications notification toast",
    "log logs console stdout stderr",
    "compare comparison diff difference previous",
    "find search grep",
    "filter keep only query",
    "quit exit leave close",
    "shell terminal ssh exec debug attach bash",
    "details detail describe info inspect why reason",
    "events event kubernetes",
    "cluster sandbox health status queue quota pods nodes",
    "graph dag diagram",
    "theme themes colour color colours dark light",
    "help keys shortcuts keyboard bindings",
    "maximise maximize zoom fullscreen",
    "edit editor change modify",
    "copy clipboard yank",
    "save export write",
    "error errors failure failed fail",
    "timestamps timestamp times time clock",
    "parameters parameter params param",
    "screenshot svg picture image",
    "step steps job jobs task tasks",
    "order sort",
    "wrap fold truncate collapse",
)
_GROUPS: dict[str, frozenset[str]] = {}
for _line in _SYNONYMS:
    for _word in _line.split():
        _GROUPS[_word] = _GROUPS.get(_word, frozenset()) | frozenset(_line.split())

_WORDS = re.compile(r"[^\W_]+")
_MIN_TYPO_LENGTH = 4
"""Words shorter than this have to be spelled right: almost every other word would be near."""
_LONG_WORD = 8
"""From this length on, two errors are forgiven."""
_MAX_WORD = 40
_MAX_QUERY_WORDS = 8

_EXACT, _PREFIX, _INSIDE, _SYNONYM, _TYPO, _LETTERS = 1.0, 0.9, 0.75, 0.7, 0.55, 0.35
_DETAIL_FACTOR = 0.6
"""How much less a match in the detail counts than one in the title."""


@dataclass(frozen=True)
class PaletteItem:
    """Something that the palette offers. `key` tells the items of one kind apart."""

    kind: PaletteKind
    key: str
    title: str
    detail: str = ""


def rank(query: str, items: Iterable[PaletteItem], limit: int) -> list[tuple[float, PaletteItem]]:
    """The items that match every word of the query, best first, each with its score from 0 to 1."""
    words = query.lower().split()[:_MAX_QUERY_WORDS]
    scored = [(score, item) for item in items if (score := score_item(words, item)) > 0]
    scored.sort(key=lambda each: -each[0])
    return scored[:limit]


def score_item(words: list[str], item: PaletteItem) -> float:
    """How well an item matches all words, from 0 (one does not match) to 1."""
    total = 0.0
    title, detail = item.title.lower(), item.detail.lower()
    for word in words:
        best = _score_text(word, title)
        if best < _EXACT and detail:
            best = max(best, _DETAIL_FACTOR * _score_text(word, detail, letters=False))
        if not best:
            return 0.0
        total += best
    # Of two equal matches, the shorter title is nearer to what was typed.
    return max(total / max(len(words), 1) - len(title) / 10_000, 0.001)


def _score_text(word: str, text: str, *, letters: bool = True) -> float:
    words = _text_words(text)
    if word in words or word == text:
        return _EXACT
    if any(each.startswith(word) for each in words):
        return _PREFIX
    if word in text:
        return _INSIDE
    if not words.isdisjoint(_GROUPS.get(word, frozenset())):
        return _SYNONYM
    if len(word) >= _MIN_TYPO_LENGTH:
        if any(is_near(word, each) for each in words):
            return _TYPO
        if not words.isdisjoint(_synonyms_of_misspelled(word)):
            return _TYPO * _SYNONYM
    return _LETTERS if letters and len(word) > 2 and _has_letters(word, text) else 0.0


@lru_cache(maxsize=10_000)
def _text_words(text: str) -> frozenset[str]:
    """The words of a text; those joined by `-`, `.` or `/` also as one: `part-07` and `part`, `07`."""
    whole = (each.strip(".,:;()") for each in text.split())
    return frozenset(each[:_MAX_WORD] for each in (*whole, *_WORDS.findall(text)) if each)


@lru_cache(maxsize=100)
def _synonyms_of_misspelled(word: str) -> frozenset[str]:
    """The synonyms of the words that this one is a misspelling of."""
    return frozenset(synonym for known in _GROUPS if is_near(word, known) for synonym in _GROUPS[known])


def is_near(typed: str, word: str) -> bool:
    """Whether `typed` is the beginning of `word` with an error or two: a letter too many, too few, wrong or swapped.

    >>> is_near("shel", "shell"), is_near("delte", "delete"), is_near("reusme", "resume"), is_near("log", "lag")
    (True, True, True, False)
    """
    if len(typed) < _MIN_TYPO_LENGTH or len(word) < _MIN_TYPO_LENGTH or len(typed) > _MAX_WORD:
        return False
    allowed = 2 if len(typed) >= _LONG_WORD else 1
    if len(typed) > len(word) + allowed:
        return False
    return _begins_near(typed, word[: len(typed) + allowed], allowed)


@lru_cache(maxsize=20_000)
def _begins_near(typed: str, word: str, allowed: int) -> bool:
    # Most words are told apart by their letters alone.
    if sum(letter not in word for letter in typed) > allowed:
        return False
    return _distance_to_prefix(typed, word) <= allowed


def _distance_to_prefix(typed: str, word: str) -> int:
    """The smallest number of errors between `typed` and any prefix of `word` (optimal string alignment)."""
    before_last: list[int] = []
    last = list(range(len(word) + 1))
    for row, letter in enumerate(typed, 1):
        current = [row]
        for column, other in enumerate(word, 1):
            cost = min(last[column] + 1, current[-1] + 1, last[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == word[column - 2] and typed[row - 2] == other:
                cost = min(cost, before_last[column - 2] + 1)
            current.append(cost)
        before_last, last = last, current
    # A prefix that is much shorter would forgive leaving out the end of what was typed.
    return min(last[max(len(typed) - 1, 0) :], default=last[-1])


def _has_letters(word: str, text: str) -> bool:
    """Whether the text has all letters of the word in this order, the first one at the beginning of a word."""
    for start in re.finditer(rf"(?<![^\W_]){re.escape(word[0])}", text):
        at = start.start()
        for letter in word[1:]:
            at = text.find(letter, at + 1)
            if at < 0:
                break
        else:
            return True
    return False
