"""What changes on the page of a run, made once for all its readers.

The page is cut into pieces by the ids of its elements. At most once a second the pieces are made again, by the first
reader that wakes, and each reader is sent those that differ from what it has.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controller.api.state import AppState
from controller.api.streaming.sse import ReauthorizationTimer
from controller.dashboard.live.stream import HEARTBEAT, event
from controller.dashboard.views.run_parts import Parts, changes, run_parts
from controller.dashboard.views.run_view import build_run

TICK = 1.0
"""Seconds between two versions of a page."""
REDRAW = 5.0
"""Seconds after which the bars of running steps are drawn again."""
MAX_FEEDS = 64


@dataclass
class RunFeed:
    """The pieces of one run's page. `number` counts their versions, `delta` is the event from the one before."""

    namespace: str
    run: str
    number: int = 0
    parts: Parts = field(default_factory=dict)
    delta: bytes = b""
    version: str = ""
    layout: str = ""
    is_final: bool = False
    drawn_at: float = 0.0

    def update(self, run: Mapping[str, Any], now: datetime, at: float) -> None:
        """Makes the pieces again if the run has changed, or if its bars are due."""
        version = str(run["metadata"].get("resourceVersion", ""))
        if self.number and version == self.version and (self.is_final or at - self.drawn_at < REDRAW):
            return
        view = build_run(run, now)
        self.layout, self.is_final = view.layout, view.is_final
        parts = run_parts(view)
        self.version, self.drawn_at = version, at
        changed = changes(self.parts, parts)
        if changed or not self.number:
            self.number += 1
            self.parts = parts
            self.delta = event("parts", changed, version)

    def since(self, number: int, known: Parts) -> bytes:
        """The event for a reader that has this version, which consists of these pieces; nothing if it is current."""
        if number == self.number:
            return b""
        if number == self.number - 1:
            return self.delta
        found = changes(known, self.parts)
        return event("parts", found, self.version) if found else b""


class RunFeeds:
    """The feeds of the runs whose pages were asked for last."""

    def __init__(self) -> None:
        self._feeds: OrderedDict[tuple[str, str], RunFeed] = OrderedDict()

    def of(self, namespace: str, run: str) -> RunFeed:
        """The feed of a run."""
        key = (namespace, run)
        found = self._feeds.setdefault(key, RunFeed(namespace, run))
        self._feeds.move_to_end(key)
        while len(self._feeds) > MAX_FEEDS:
            self._feeds.popitem(last=False)
        return found


async def follow_run(
    state: AppState,
    feed: RunFeed,
    since: str,
    layout: str,
    timer: ReauthorizationTimer,
    now: Callable[[], float] = time.monotonic,
) -> AsyncIterator[bytes]:
    """The events for one reader, until its page has to be made again, or its session is over.

    Args:
        since: the version of the run that its page shows.
        layout: what the page has besides pieces that are replaced. A page of another layout can't be brought up to
            date by pieces, also when it became outdated before this stream, or between two streams.
    """
    history = state.watch_cache
    number: int | None = None
    known: Parts = {}
    while not history.closed and await timer.is_authorized():
        position = history.end
        # A summary, too, has all that the page shows.
        run = state.runs.get(feed.namespace, feed.run)
        if run is None:
            yield event("reload", None)
            return
        feed.update(run, state.utc_now(), now())
        if layout != feed.layout:
            yield event("reload", None)
            return
        if number is None:
            # A page that was just made has all this, but for a running step's bars.
            number, known = (feed.number, feed.parts) if since == feed.version else (-1, {})
        if text := feed.since(number, known):
            yield text
        number, known = feed.number, feed.parts
        if feed.is_final:
            # The buttons of a run that has ended are others. Also for a page that has all pieces, but was lost before.
            yield event("reload", None, feed.version)
            return
        if not await history.wait_for_change(position, min(REDRAW, timer.remaining + 0.01)):
            yield HEARTBEAT
        # All readers of the second wake together, and share what the first of them makes.
        await asyncio.sleep(TICK - now() % TICK)
