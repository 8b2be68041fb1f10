"""Looks through a log in a thread, a piece at a time, so that nobody who types or reads waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from workbench.logs.search.matches import MatchIndex

_SLICE_SECONDS = 0.1
"""Seconds of looking between two reports."""


async def scan(matches: MatchIndex, report: Callable[[], bool | None] = lambda: None) -> None:
    """Look at all lines that are there; `report` is called on the way and at the end, and may end it with True.

    Raises:
        LogFileError: the log can't be read.
    """
    more = True
    while more:
        more = await asyncio.to_thread(_scan_slice, matches)
        if report():
            return


def _scan_slice(matches: MatchIndex) -> bool:
    until = time.monotonic() + _SLICE_SECONDS
    while matches.advance():
        if time.monotonic() >= until:
            return True
    return False


async def next_match(matches: MatchIndex, line: int, direction: int, *, inclusive: bool = False) -> int | None:
    """The match below (1) or above (-1) a line, going round; known as soon as the way there has been looked at."""

    def known() -> bool:
        if direction > 0:
            return matches.after(line, including=inclusive) is not None
        return matches.scanned >= line and matches.before(line) is not None

    if not known():
        await scan(matches, known)
    return matches.next(line, direction, including=inclusive)
