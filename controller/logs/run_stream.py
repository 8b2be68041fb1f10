"""Reads a whole run as it goes: the bookkeeping of one reader over many streams.

Each stream is given as: what is there already, `Live`, what comes, `End`. A stream that goes on without a reader
that is too slow costs that reader lines, and it is told which.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Set
from dataclasses import dataclass

from controller.logs.archive import reader
from controller.logs.blocks import READ_BYTES, read_blocks
from controller.logs.live.hub import LiveLog, LiveLogs, Subscription
from controller.logs.model import BacklogEnd, Frame, Lines, MissedLines, RunEnd, Stream, StreamEnd
from controller.storage import ObjectStore


class ReusedLogs:
    """Steps of a run whose result was taken over from another run, by their slugs here: their logs are shown as this
    run's own. More of them may be told while somebody reads.
    """

    def __init__(self) -> None:
        self.steps: dict[str, Stream] = {}
        self.changed = asyncio.Event()

    def update(self, steps: Mapping[str, Stream]) -> None:
        """All that is known now: for each slug the stream of its step's own container, where it really is."""
        if not steps.keys() <= self.steps.keys():
            self.steps.update(steps)
            self.changed.set()


@dataclass(eq=False)
class _Cursor:
    """Where the reader is in one stream: the next line's number. `source` is where its lines are, `log` what they were
    last read from, live.
    """

    stream: Stream
    next: int
    source: Stream
    live: bool = False
    ended: bool = False
    log: LiveLog | None = None


class RunLogStream:
    """One reader of one run. `steps` are slugs, None for all; `after` the last lines that the reader has."""

    def __init__(
        self,
        hub: LiveLogs,
        store: ObjectStore,
        namespace: str,
        run: str,
        steps: Set[str] | None,
        after: Mapping[Stream, int],
        reused_logs: ReusedLogs | None = None,
    ) -> None:
        self._hub = hub
        self._store = store
        self._namespace = namespace
        self._run = run
        self._steps = steps
        self._after = after
        self._reused_logs = reused_logs or ReusedLogs()
        self._cursors: dict[Stream, _Cursor] = {}

    async def frames(self, finished: asyncio.Event) -> AsyncGenerator[Frame, None]:
        """Frames until `finished` is set and all streams have ended; then Done."""
        subscription, leave = self._hub.subscribe(self._namespace, self._run)
        try:
            for stream in sorted(await reader.archived_streams(self._store, self._namespace, self._run)):
                self._add_stream(stream)
            for log in self._hub.logs(self._namespace, self._run):
                self._add_stream(log.stream)
            changed = list(self._cursors.values())
            last_look = False
            while True:
                changed += await self._add_reused_streams()
                for place in changed:
                    async for frame in self._advance(place):
                        yield frame
                changed = self._changed_cursors(subscription, changed)
                if changed or self._reused_logs.changed.is_set():
                    continue
                if finished.is_set() and last_look and all(each.ended for each in self._cursors.values()):
                    yield RunEnd()
                    return
                if finished.is_set() and not last_look:
                    # A stream may have come and gone from the hub between our looks.
                    last_look = True
                    for stream in sorted(await reader.archived_streams(self._store, self._namespace, self._run)):
                        self._add_stream(stream)
                    changed = [each for each in self._cursors.values() if not each.ended]
                    continue
                await _wait_any(subscription.changed, finished, self._reused_logs.changed)
        finally:
            leave()

    def _add_stream(self, stream: Stream) -> None:
        if stream not in self._cursors and (self._steps is None or stream.slug in self._steps):
            self._cursors[stream] = _Cursor(stream, self._after.get(stream, 0) + 1, stream)

    async def _add_reused_streams(self) -> list[_Cursor]:
        """The places of steps that are now known to be from another run."""
        if not self._reused_logs.changed.is_set():
            return []
        self._reused_logs.changed.clear()
        met: list[_Cursor] = []
        for slug, real in self._reused_logs.steps.items():
            if self._steps is not None and slug not in self._steps:
                continue
            for source in sorted(await reader.archived_streams(self._store, real.namespace, real.run)):
                shown = Stream(self._namespace, self._run, slug, source.attempt, source.container)
                if (source.slug, source.attempt) == (real.slug, real.attempt) and shown not in self._cursors:
                    self._cursors[shown] = _Cursor(shown, self._after.get(shown, 0) + 1, source)
                    met.append(self._cursors[shown])
        return met

    def _changed_cursors(self, subscription: Subscription, before: list[_Cursor]) -> list[_Cursor]:
        """The places where something is new: told by the hub, or more than one turn could take."""
        streams = subscription.take()
        for stream in sorted(streams):
            self._add_stream(stream)
        told = [self._cursors[stream] for stream in sorted(streams) if stream in self._cursors]
        behind = [each for each in before if each.stream not in streams and self._is_behind(each)]
        return [each for each in (*behind, *told) if not each.ended]

    def _is_behind(self, place: _Cursor) -> bool:
        log = self._hub.get(place.source)
        if place.ended:
            return False
        return log is None or place.next < log.ring.end or log.ended

    async def _advance(self, place: _Cursor) -> AsyncGenerator[Frame, None]:
        """One turn of one stream: all of its backlog, or the next piece of what comes."""
        if place.ended:
            return
        if not place.live:
            async for frame in self._read_backlog(place):
                yield frame
            place.live = True
            yield BacklogEnd(place.stream)
        elif self._was_reopened(place):
            async for frame in self._read_backlog(place):
                yield frame
        place.log = log = self._hub.get(place.source)
        if log is None or (log.archived and place.next < log.ring.first):
            async for frame in self._read_backlog(place):
                yield frame
            place.ended = True
            yield StreamEnd(place.stream, place.next - 1)
            return
        if place.next < log.ring.first:
            yield MissedLines(place.stream, place.next, log.ring.first - 1)
            place.next = log.ring.first
        block = log.ring.since(place.next, READ_BYTES)
        if block is not None:
            place.next = block.end
            yield Lines(place.stream, block)
        if log.ended and place.next >= log.ring.end:
            place.ended = True
            yield StreamEnd(place.stream, log.ring.end - 1)

    def _was_reopened(self, place: _Cursor) -> bool:
        """Whether somebody else goes on with the stream, beyond the reader: chunks have what lies between."""
        log = self._hub.get(place.source)
        return log is not None and log is not place.log and place.next < log.ring.first

    async def _read_backlog(self, place: _Cursor) -> AsyncGenerator[Frame, None]:
        async for block in read_blocks(self._hub, self._store, place.source, place.next):
            if block.first > place.next:
                yield MissedLines(place.stream, place.next, block.first - 1)
            place.next = block.end
            yield Lines(place.stream, block)


async def _wait_any(*events: asyncio.Event) -> None:
    """Waits until one of the events that are not yet set is."""
    waits = [asyncio.ensure_future(each.wait()) for each in events if not each.is_set()]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
