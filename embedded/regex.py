"""Regular expressions of strangers: RE2's language, matched in bounded time.

A definition's `pattern` and a rule's `matches` come from whoever may define resources. Python's own engine can be sent
into an endless search by 20 characters, and would stop the server. Kubernetes takes Go's expressions, which are RE2's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_MAX_COST = 300_000_000
"""Characters times steps of the program: at worst a second. RE2 is linear in each, and most searches take far less."""


class PatternError(ValueError):
    """It is no regular expression of RE2; the message says why."""


class PatternBudgetError(Exception):
    """The text is too long for this pattern; the message names it."""


@lru_cache(maxsize=128)
def compile_pattern(text: str) -> Pattern:
    """Raises:
    PatternError: it is none.
    """
    return Pattern(text)


class Pattern:
    """One regular expression. All its methods raise `TooLongError`."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._compiled = re2.compile(_replace_surrogates(text), _OPTIONS)
        except re2.error as error:
            why = error.args[0].decode("utf-8", "replace") if error.args else "it can't be read"
            raise PatternError(f"'{text[:100]}': {why}") from None

    def is_match(self, text: str) -> bool:
        """Whether it matches anywhere in the text."""
        return self._compiled.search(self._check_budget(text)) is not None

    def find(self, text: str) -> tuple[int, int] | None:
        """Where it matches first, as Perl and Go prefer among the ways to match there."""
        found = self._compiled.search(self._check_budget(text))
        return found.span() if found is not None else None

    def find_all(self, text: str) -> Iterator[str]:
        """The matches one after the other."""
        return (found.group(0) for found in self._compiled.finditer(self._check_budget(text)))

    def _check_budget(self, text: str) -> str:
        if len(text) * self._compiled.programsize > _MAX_COST:
            raise PatternBudgetError(f"the search for '{self.text[:100]}' takes too long in {len(text)} characters")
        return _replace_surrogates(text)


def _replace_surrogates(text: str) -> str:
    """The text with halves of characters replaced, as Go does when it reads JSON: RE2 takes whole ones only."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
