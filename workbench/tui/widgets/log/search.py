"""Looks through a log in a thread, a piece at a time, so that nobody who types or reads waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from workbench.logs.search.matches import Matches

_TURN = 0.1
"""Seconds of looking between two reports."""


async def look_through(matches: Matches, report: Callable[[], bool | None] = lambda: None) -> None:
    """Look at all lines that are there; `report` is called on the way and at the end, and may end it with True.

    Raises:
        LogFileError: the log can't be read.
    """
    more = True
    while more:
        more = await asyncio.to_thread(_turn, matches)
        if report():
            return


def _turn(matches: Matches) -> bool:
    until = time.monotonic() + _TURN
    while matches.advance():
        if time.monotonic() >= until:
            return True
    return False


async def next_match(matches: Matches, line: int, direction: int, *, including: bool = False) -> int | None:
    """The match below (1) or above (-1) a line, going round; known as soon as the way there has been looked at."""

    def known() -> bool:
        if direction > 0:
            return matches.after(line, including=including) is not None
        return matches.scanned >= line and matches.before(line) is not None

    if not known():
        await look_through(matches, known)
    return matches.next(line, direction, including=including)
