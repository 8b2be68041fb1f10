"""Regular expressions typed by a user, matched by RE2 in time that grows linearly with the text.

Python's `re` can need exponential time for one line, during which it blocks every thread. RE2 cannot, and it releases
the interpreter lock while it matches. In exchange it has no look-around and no backreferences (docs/adr/0010).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_MAX_PROGRAM_SIZE = 10_000
"""Instructions. RE2's worst time is instructions times bytes; a pattern written by hand has some dozens."""
_UNSUPPORTED = re.compile(r"\(\?<?[=!]|\\[1-9]")


class RegexError(ValueError):
    """RE2 cannot compile the pattern; the message says why."""


class Regex:
    """A regular expression that is matched within single lines: `^` and `$` stand for the ends of a line.

    Raises:
        RegexError: the pattern is invalid, uses a feature that RE2 does not have, or is too large.
    """

    def __init__(self, pattern: str, *, case_sensitive: bool) -> None:
        self._spans = _compile(pattern, case_sensitive)
        # A match that takes the rest of its line gives each line once.
        self._lines = _compile(f"(?:{pattern}).*", case_sensitive)

    def matching_lines(self, text: str) -> Iterator[int]:
        """The numbers (from 0) of the lines of `text` that match, in order."""
        data = text.encode(errors="replace")
        line = counted = 0
        last = -1
        for match in self._lines.finditer(data):
            start = match.start()
            line += data.count(b"\n", counted, start)
            counted = start
            # An empty match at the end of a line follows the match of that line.
            if line != last:
                yield line
            last = line

    def find_spans(self, line: str) -> list[tuple[int, int]]:
        """The start and end of each match in one line; empty matches are left out."""
        spans = (match.span() for match in self._spans.finditer(line))
        return [(start, end) for start, end in spans if start < end]


@lru_cache(maxsize=64)
def _compile(pattern: str, case_sensitive: bool) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_nl = True
    # Without captures RE2 can use its fastest engine.
    options.never_capture = True
    options.case_sensitive = case_sensitive
    try:
        compiled = re2.compile(f"(?m){pattern}", options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace").replace("(?m)", "") if error.args else "invalid pattern"
        if _UNSUPPORTED.search(pattern):
            reason += "; look-around and backreferences are not supported"
        raise RegexError(reason) from None
    if compiled.programsize > _MAX_PROGRAM_SIZE:
        raise RegexError("the pattern is too large; use smaller repetition counts")
    return compiled
