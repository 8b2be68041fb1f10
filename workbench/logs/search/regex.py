"""Regular expressions that somebody typed, kept from stopping the program.

`re` holds the interpreter while it matches, and some patterns need longer than the age of the world for one line. So
they are looked for in another process with a limit of time, and marked in a line only where that is sure to be quick.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
import warnings
import weakref
from array import array
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from workbench.logs.search.query import LineMatcher, Query, QueryError

_WORKER = Path(__file__).with_name("regex_worker.py")
_LENGTH = 8
_SECONDS = 3.0
"""What a piece of a log (some hundred kilobytes) may take; an ordinary pattern takes hundredths of it."""
_STEPS = 2_000_000
"""Steps of matching that nobody notices."""


class SlowPatternError(QueryError):
    """The pattern takes too long on some line of this log."""


def create_matcher(query: Query, seconds: float = _SECONDS) -> LineMatcher:
    """What looks for this query without ever standing in anybody's way."""
    return RegexSearch(query, seconds) if query.regex else query


class RegexSearch:
    """One pattern and its process, which begins with the first text and ends with this object."""

    def __init__(self, query: Query, seconds: float = _SECONDS) -> None:
        self.query, self._seconds = query, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[Any, RegexSearch] | None = None

    def matching_lines(self, text: str) -> Iterable[int]:
        """The numbers of the lines that match.

        Raises:
            SlowPatternError: it took too long; the process is gone, and a next call begins another.
            QueryError: the process can't be started, or died.
        """
        text = text if self.query.exact else text.lower()
        try:
            process = self._process or self._start()
            assert process.stdin is not None
            assert process.stdout is not None
            _send(process.stdin, text)
            deadline = time.monotonic() + self._seconds
            size = int.from_bytes(self._read(process.stdout, _LENGTH, deadline), "big")
            return array("I", self._read(process.stdout, size, deadline))
        except OSError as error:
            self.close()
            raise QueryError(f"{self.query.text!r} can't be looked for: {error}. Try it as a plain text.") from error

    def close(self) -> None:
        if self._end is not None:
            self._end()
        self._process = self._end = None

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._process, self._end = process, weakref.finalize(self, _end, process)
        assert process.stdin is not None
        _send(process.stdin, self.query.text)
        return process

    def _read(self, source: IO[bytes], size: int, deadline: float) -> bytes:
        data = b""
        while len(data) < size:
            ready, _, _ = select.select([source], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                self.close()
                raise SlowPatternError(
                    f"{self.query.text!r} takes too long on a line of this log. "
                    "Avoid repeats inside repeats, such as (a+)+, or look for a plain text."
                )
            part = source.read(size - len(data))
            if not part:
                raise BrokenPipeError("the process that looks for it has ended")
            data += part
        return data


def _send(target: IO[bytes], text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    rest = memoryview(len(data).to_bytes(_LENGTH, "big") + data)
    while rest:
        rest = rest[target.write(rest) :]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def find_spans(query: Query, text: str) -> list[tuple[int, int]]:
    """Where the query is found in one line, or nothing where looking might take long."""
    if query.regex and not _quick(query, len(text)):
        return []
    return [match.span() for match in query.pattern.finditer(text)]


def _quick(query: Query, length: int) -> bool:
    choices = choices_in(query.text)
    return choices is not None and (length + 1) ** (choices + 1) <= _STEPS


@lru_cache(maxsize=64)
def choices_in(pattern: str) -> int | None:
    """How many independent choices matching has to make, by which it grows with the line; None: without a bound.

    A choice within a repeat may be made anew in each turn, which is where time is lost without end.
    """
    from re import _parser  # type: ignore[attr-defined]  # no public way to a parsed pattern

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        parsed = _parser.parse(pattern)
    count = 0
    for nested in _choices(parsed, inside=False):
        if nested:
            return None
        count += 1
    return count


_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")


def _choices(node: Any, *, inside: bool) -> Iterator[bool]:
    """For each choice in a parsed pattern, whether it stands within a repeat."""
    for op, argument in node:
        name = str(op)
        repeats = name in _REPEATS
        if name == "BRANCH" or name.startswith("GROUPREF") or (repeats and argument[0] != argument[1]):
            yield inside
        yield from _within(argument, inside=inside or repeats)


def _within(argument: Any, *, inside: bool) -> Iterator[bool]:
    """The choices in all patterns that are parts of an operation's argument, however deep."""
    from re import _parser  # type: ignore[attr-defined]

    if isinstance(argument, _parser.SubPattern):
        yield from _choices(argument, inside=inside)
    elif isinstance(argument, (list, tuple)):
        for part in argument:
            yield from _within(part, inside=inside)
