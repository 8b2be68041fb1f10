"""Queries for lines of a log: a text, a regular expression, or error messages.

The searched text is the displayed text: without colours and other control sequences, and of a line that was
overwritten after carriage returns, the last text. No I/O; see `matches`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from workbench.logs.search.regex import Regex, RegexError
from workbench.text.sanitize import sanitize_line

_SGR = re.compile(rb"\x1b\[[0-9;:]*m")
_PLAIN = bytes(range(0x20, 0x7F)) + b"\n"
_UNUSUAL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f\xcc\xcd\xd2\xe1\xef]|\xe2\x83|\xc2[\x80-\x9f]")
"""What `sanitize_line` changes, or first bytes of it: control characters and combining marks."""
_TAB = 8


class QueryError(Exception):
    """The pattern is not a valid regular expression; the message says why."""


class LineMatcher(Protocol):
    """Finds the lines of a text that match."""

    def matching_lines(self, text: str) -> Iterable[int]:
        """The numbers (from 0) of the matching lines, each once and in order."""
        ...


@dataclass(frozen=True)
class Query:
    """A text to search for, or a regular expression if `regex`.

    Case is ignored unless `text` contains an upper-case letter.

    Raises:
        QueryError: `text` is not a valid regular expression.
    """

    text: str
    regex: bool = False

    def __post_init__(self) -> None:
        if self.regex:
            try:
                _ = self._regex
            except RegexError as error:
                raise QueryError(f"invalid regular expression {self.text!r}: {error}") from error

    @cached_property
    def exact(self) -> bool:
        """Whether case matters. A letter after a backslash is a class and does not count."""
        letters = re.sub(r"\\.", "", self.text) if self.regex else self.text
        return letters != letters.lower()

    @cached_property
    def _regex(self) -> Regex:
        return Regex(self.text, case_sensitive=self.exact)

    @cached_property
    def _literal(self) -> re.Pattern[str]:
        return re.compile(re.escape(self.text), 0 if self.exact else re.IGNORECASE)

    def matching_lines(self, text: str) -> Iterable[int]:
        if self.regex:
            return self._regex.matching_lines(text)
        return _lines_with(text if self.exact else text.lower(), self.text if self.exact else self.text.lower())

    def find_spans(self, line: str) -> list[tuple[int, int]]:
        """The start and end of each match in one line of displayed text."""
        if self.regex:
            return self._regex.find_spans(line)
        return [match.span() for match in self._literal.finditer(line)]


_ERROR_WORDS = ("error", "fatal", "panic", "exception", "traceback", "failed", "failure")
_ERROR = re.compile(rf"(?:\b|_|(?<=[a-z]))(?:{'|'.join(_ERROR_WORDS)})s?\b", re.IGNORECASE)
_NO_ERROR = re.compile(
    r"\b(?:0 (?:errors?|failed|failures?)|no errors?|errors?[:=] ?0|failures?[:=] ?0|failed[:=] ?0)\b", re.IGNORECASE
)


class ErrorMatcher:
    """Finds lines that look like error messages."""

    def matching_lines(self, text: str) -> Iterable[int]:
        lowered, found = text.lower(), set[int]()
        for word in _ERROR_WORDS:
            found.update(_lines_with(lowered, word))
        if not found:
            return ()
        lines = text.split("\n")
        return [at for at in sorted(found) if is_error(lines[at])]


def is_error(line: str) -> bool:
    """Whether a line of displayed text looks like an error message."""
    return _ERROR.search(_NO_ERROR.sub("", line)) is not None


def _lines_with(text: str, needle: str) -> Iterator[int]:
    """The numbers of the lines that contain `needle`. Counting newlines is cheaper than splitting the text."""
    if not needle or "\n" in needle:
        return
    line, counted = 0, 0
    at = text.find(needle)
    while at >= 0:
        line += text.count("\n", counted, at)
        yield line
        counted = text.find("\n", at)
        if counted < 0:
            return
        at = text.find(needle, counted)


def render_plain(data: bytes) -> str:
    """The displayed text of whole lines of a log; the number of lines does not change.

    Most text is plain or has only colours, which is handled without looking at each line.
    """
    plain = _SGR.sub(b"", data) if b"\x1b" in data else data
    rest = plain.translate(None, _PLAIN)
    if not rest.strip(b"\t\r"):
        return _overwritten(plain) if rest else plain.decode("ascii")
    if not _UNUSUAL.search(rest):
        text = plain.decode(errors="replace")
        if text.replace("\n", "").isprintable():
            return text
    # A colour may be part of another sequence here: sanitize each original line.
    return "\n".join(
        [sanitize_line(line, colour=False, limit=None) for line in data.decode(errors="replace").split("\n")]
    )


def _overwritten(plain: bytes) -> str:
    """Lines of ASCII without overwritten text and tabs."""
    if b"\r" in plain:
        plain = b"\n".join([line.rstrip(b"\r").rpartition(b"\r")[2] for line in plain.split(b"\n")])
    return plain.expandtabs(_TAB).decode("ascii")
