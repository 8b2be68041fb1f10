"""Matches untrusted regular expressions by RE2, in bounded time.

Patterns of schemas and rules come from anyone who may define resources. Python's `re` backtracks:
a text of 20 characters can block the server. Kubernetes uses Go's regular expressions, whose syntax is RE2's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_MAX_COST = 300_000_000
"""Characters of the text times size of the program: at worst one second. Most searches take far less."""


class PatternError(ValueError):
    """A pattern is not an RE2 regular expression. The message states the cause."""


class PatternBudgetError(Exception):
    """A text is too long for the pattern. The message names the pattern."""


@lru_cache(maxsize=128)
def compile_pattern(text: str) -> Pattern:
    """Compile a pattern. Results are cached.

    Raises:
        PatternError: it is not an RE2 regular expression.
    """
    return Pattern(text)


class Pattern:
    """A compiled regular expression. All methods raise `PatternBudgetError`."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._compiled = re2.compile(_replace_surrogates(text), _OPTIONS)
        except re2.error as error:
            why = error.args[0].decode("utf-8", "replace") if error.args else "invalid pattern"
            raise PatternError(f"'{text[:100]}': {why}") from None

    def is_match(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the text."""
        return self._compiled.search(self._check_budget(text)) is not None

    def find(self, text: str) -> tuple[int, int] | None:
        """The span of the first match, with the leftmost-first semantics of Perl and Go."""
        found = self._compiled.search(self._check_budget(text))
        return found.span() if found is not None else None

    def find_all(self, text: str) -> Iterator[str]:
        """All matches, in order."""
        return (found.group(0) for found in self._compiled.finditer(self._check_budget(text)))

    def _check_budget(self, text: str) -> str:
        if len(text) * self._compiled.programsize > _MAX_COST:
            raise PatternBudgetError(f"the search for '{self.text[:100]}' takes too long in {len(text)} characters")
        return _replace_surrogates(text)


def _replace_surrogates(text: str) -> str:
    """Replace unpaired surrogates, as Go does when it decodes JSON: RE2 accepts only valid Unicode."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
