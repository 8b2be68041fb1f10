"""What somebody looks for in a log: a text or a regular expression, and which lines of a piece of log hold it.

What is searched is what is shown: text without colours and other sequences, and of a line that was drawn
over by carriage returns what was drawn last. Nothing here reads a file; see `log_matches`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from workbench.text.sanitize import sanitize_line

_SGR = re.compile(rb"\x1b\[[0-9;:]*m")
_PLAIN = bytes(range(0x20, 0x7F)) + b"\n"
_UNUSUAL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f\xcc\xcd\xd2\xe1\xef]|\xe2\x83|\xc2[\x80-\x9f]")
"""What `clean` changes, or first bytes of it: control characters and combining marks."""
_TAB = 8


class QueryError(Exception):
    """What was typed is no regular expression; the message says why."""


def compile_pattern(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """The pattern as Python means it today: what a later one may make of `[[a]` is no news to who types it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(pattern, flags)


class LineMatcher(Protocol):
    """Tells which lines of a text match, by their number from 0, each once and in order."""

    def matching_lines(self, text: str) -> Iterable[int]: ...


@dataclass(frozen=True)
class Query:
    """`text` to look for, a regular expression if `regex`. Lower case letters stand for upper case ones too,
    unless there is an upper case one in it.

    Raises:
        QueryError: `text` is no regular expression.
    """

    text: str
    regex: bool = False

    def __post_init__(self) -> None:
        if self.regex:
            try:
                compile_pattern(self.text)
            except (re.error, OverflowError, RecursionError) as error:
                raise QueryError(f"{self.text!r} is no regular expression: {error}") from error

    @cached_property
    def exact(self) -> bool:
        """Whether upper and lower case differ. A letter behind a backslash has no case: it is a class."""
        letters = re.sub(r"\\.", "", self.text) if self.regex else self.text
        return letters != letters.lower()

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The same for one line of shown text, to mark where it was found."""
        source = self.text if self.regex else re.escape(self.text)
        return compile_pattern(source, 0 if self.exact else re.IGNORECASE)

    def matching_lines(self, text: str) -> Iterable[int]:
        text = text if self.exact else text.lower()
        if self.regex:
            # Lower case on both sides is many times faster than a pattern that ignores case.
            search = compile_pattern(self.text).search
            return [at for at, line in enumerate(text.split("\n")) if search(line)]
        return _lines_with(text, self.text if self.exact else self.text.lower())


_ERROR_WORDS = ("error", "fatal", "panic", "exception", "traceback", "failed", "failure")
_ERROR = re.compile(rf"(?:\b|_|(?<=[a-z]))(?:{'|'.join(_ERROR_WORDS)})s?\b", re.IGNORECASE)
_NO_ERROR = re.compile(
    r"\b(?:0 (?:errors?|failed|failures?)|no errors?|errors?[:=] ?0|failures?[:=] ?0|failed[:=] ?0)\b", re.IGNORECASE
)


class ErrorMatcher:
    """Lines that look as if they told of an error."""

    def matching_lines(self, text: str) -> Iterable[int]:
        lowered, found = text.lower(), set[int]()
        for word in _ERROR_WORDS:
            found.update(_lines_with(lowered, word))
        if not found:
            return ()
        lines = text.split("\n")
        return [at for at in sorted(found) if is_error(lines[at])]


def is_error(line: str) -> bool:
    """Whether a line of shown text looks as if it told of an error."""
    return _ERROR.search(_NO_ERROR.sub("", line)) is not None


def _lines_with(text: str, needle: str) -> Iterator[int]:
    """The numbers of the lines that hold the needle; counting newlines is cheaper than splitting."""
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
    """Whole lines of a log as a screen shows their text. The number of lines stays the same.

    Most pieces are plain or hold colours only, and for those nothing is done line by line.
    """
    plain = _SGR.sub(b"", data) if b"\x1b" in data else data
    rest = plain.translate(None, _PLAIN)
    if not rest.strip(b"\t\r"):
        return _overwritten(plain) if rest else plain.decode("ascii")
    if not _UNUSUAL.search(rest):
        text = plain.decode(errors="replace")
        if text.replace("\n", "").isprintable():
            return text
    # With anything else in it, a colour may be part of another sequence: begin again with all that is there.
    return "\n".join(
        [sanitize_line(line, colour=False, limit=None) for line in data.decode(errors="replace").split("\n")]
    )


def _overwritten(plain: bytes) -> str:
    """Lines of ASCII without what was drawn over, and without tabs."""
    if b"\r" in plain:
        plain = b"\n".join([line.rstrip(b"\r").rpartition(b"\r")[2] for line in plain.split(b"\n")])
    return plain.expandtabs(_TAB).decode("ascii")
