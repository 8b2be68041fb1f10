"""Search and filter of one log; scanning runs in a thread, in slices, so that the app stays responsive."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Protocol

from workbench.logs.log_file import LogFile
from workbench.logs.search.context import ContextIndex
from workbench.logs.search.matches import MatchIndex
from workbench.logs.search.query import ErrorMatcher, LineMatcher

_SLICE_SECONDS = 0.1
"""Seconds of scanning between two reports."""


_scan_lock = threading.Lock()


class LogSearchController:
    """The matches of the search, the filter and the error lines of one log."""

    def __init__(self, log: LogFile | None = None) -> None:
        self._log = log
        self.matches: MatchIndex | None = None
        """The matches of the search; None without one."""
        self.filter: MatchIndex | None = None
        """The lines to show; None shows all."""
        self._errors: MatchIndex | None = None

    def search(self, matcher: LineMatcher | None) -> MatchIndex | None:
        """Start another search; None ends the current one."""
        self.matches = self._index(matcher)
        return self.matches

    def set_filter(self, matcher: LineMatcher | None, *, inverted: bool = False, context: int = 0) -> MatchIndex | None:
        """Filter by another matcher, with lines of context around each match; None removes the filter."""
        self.filter = self._index(matcher, inverted=inverted)
        if self._log is not None and matcher is not None and context:
            self.filter = ContextIndex(self._log, matcher, inverted=inverted, context=context)
        return self.filter

    def invert(self) -> bool:
        """Invert the filter, or hide the matches of the search; False if there is neither."""
        if self.filter is not None:
            context = self.filter.context if isinstance(self.filter, ContextIndex) else 0
            self.set_filter(self.filter.matcher, inverted=not self.filter.inverted, context=context)
        elif self.matches is not None:
            self.set_filter(self.matches.matcher, inverted=True)
        else:
            return False
        return True

    def errors(self) -> MatchIndex | None:
        """The lines that look like errors; None without a log."""
        if self._errors is None:
            self._errors = self._index(ErrorMatcher())
        return self._errors

    def _index(self, matcher: LineMatcher | None, *, inverted: bool = False) -> MatchIndex | None:
        if self._log is None or matcher is None:
            return None
        return MatchIndex(self._log, matcher, inverted=inverted)


class Scanner(Protocol):
    """Reads a log block by block."""

    def advance(self) -> bool:
        """Read the next block; False if there is none. Raises LogFileError."""
        ...


async def scan(matches: Scanner, report: Callable[[], bool | None] = lambda: None) -> None:
    """Scan all lines read so far. `report` is called after each slice and stops the scan by returning True.

    Raises:
        LogFileError: the log can't be read.
    """
    more = True
    while more:
        more = await asyncio.to_thread(_scan_slice, matches)
        if report():
            return


def _scan_slice(matches: Scanner) -> bool:
    until = time.monotonic() + _SLICE_SECONDS
    # A scan that was cancelled goes on in its thread to the end of its slice.
    with _scan_lock:
        while matches.advance():
            if time.monotonic() >= until:
                return True
    return False


async def next_match(matches: MatchIndex, line: int, direction: int, *, inclusive: bool = False) -> int | None:
    """The match below (1) or above (-1) a line, wrapping around. Scans only as far as it has to."""

    def known() -> bool:
        if direction > 0:
            return matches.after(line, including=inclusive) is not None
        return matches.scanned >= line and matches.before(line) is not None

    if not known():
        await scan(matches, known)
    return matches.next(line, direction, including=inclusive)
