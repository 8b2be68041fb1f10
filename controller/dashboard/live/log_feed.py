"""The lines of a log as they come, as rows of HTML that are made once for all readers that are equally far."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import lru_cache

from controller.api.serializers import phase_of
from controller.api.state import AppState
from controller.api.streaming.sse import ReauthorizationTimer
from controller.dashboard.live.stream import HEARTBEAT, event
from controller.dashboard.views.log_html import rows_html
from controller.dashboard.views.log_view import PAGE_LINES
from controller.logs import Block, Frame, MissedLines, Stream, StreamEnd
from controller.logs.model import Lines
from controller.run_types.keys import RunKey
from controller.run_types.phases import FINAL_RUN_PHASES

TICK = 0.5
"""Seconds between two events for a reader: all readers wake together, and read the same blocks."""
_MAX_QUIET = 60.0
"""Seconds without a line after the end of the run: then nobody completes the log, whose operator was killed."""


async def follow_log(
    state: AppState,
    key: RunKey,
    stream: Stream,
    after: int,
    timer: ReauthorizationTimer,
    now: Callable[[], float] = time.monotonic,
    *,
    has_lines: bool = True,
) -> AsyncIterator[bytes]:
    """The events for one reader of a stream, after a line; ends with the stream, the run or the session.

    Args:
        has_lines: whether its page has a place for lines. One that was made before the log was has none: it is made
            again as soon as there is a line, or can't be any more.
    """
    finished = asyncio.Event()
    frames = state.logs.follow_run(
        stream.namespace, stream.run_uid, finished=finished, steps=frozenset({stream.slug}), after={stream: after}
    )
    last = event("end" if has_lines else "reload", None)
    quiet = 0.0
    async with aclosing(frames):
        pending: asyncio.Future[Frame | None] = asyncio.ensure_future(anext(frames, None))
        try:
            while not state.watch_cache.closed and await timer.is_authorized():
                done, _ = await asyncio.wait({pending}, timeout=1.0)
                if _is_over(state, key):
                    # What is stored of the log is read to its end, however slow the store is.
                    finished.set()
                    quiet = 0.0 if done else quiet + 1.0
                if not done and quiet < _MAX_QUIET:
                    yield HEARTBEAT
                    continue
                frame = pending.result() if done else None
                if frame is None or (isinstance(frame, StreamEnd) and frame.stream == stream):
                    yield last
                    return
                pending = asyncio.ensure_future(anext(frames, None))
                if isinstance(frame, Lines) and frame.stream == stream:
                    if not has_lines:
                        yield last
                        return
                    yield _lines_event(stream, frame.block.first, frame.block.end, _Data(frame.block))
                    await asyncio.sleep(TICK - now() % TICK)
                elif isinstance(frame, MissedLines) and frame.stream == stream:
                    yield event("lines", f"<p>Lines {frame.first} to {frame.last} are in the whole log.</p>")
        finally:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)


class _Data:
    """A block that is equal to any other: the numbers of its lines identify it in the cache."""

    def __init__(self, block: Block) -> None:
        self.block = block

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Data)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=64)
def _lines_event(stream: Stream, first: int, end: int, data: _Data) -> bytes:
    """The rows of the last lines of a block: a page holds only so many, and the log is elsewhere."""
    lines = data.block.lines()[-10 * PAGE_LINES :]
    return event("lines", str(rows_html(lines)), str(end - 1))


def _is_over(state: AppState, key: RunKey) -> bool:
    """Whether no line can come any more, because the run has ended or is gone."""
    found = state.runs.get(*key)
    return found is None or phase_of(found) in FINAL_RUN_PHASES
