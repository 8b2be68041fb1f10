"""Reads a whole run as it goes: the bookkeeping of one reader over many streams.

Each stream is given as: what is there already, `Live`, what comes, `End`. A stream that goes on without a reader
that is too slow costs that reader lines, and it is told which.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Set
from dataclasses import dataclass

from controller.logs.archive import reader
from controller.logs.blocks import PULL_BYTES, blocks_from
from controller.logs.live.hub import LiveLog, LiveLogs, Subscription
from controller.logs.model import Done, End, Frame, Lines, Live, Missed, Stream
from controller.storage import ObjectStore


class Borrowed:
    """Steps of a run whose result was taken over from another run, by their slugs here: their logs are shown as this
    run's own. More of them may be told while somebody reads.
    """

    def __init__(self) -> None:
        self.steps: dict[str, Stream] = {}
        self.changed = asyncio.Event()

    def tell(self, steps: Mapping[str, Stream]) -> None:
        """All that is known now: for each slug the stream of its step's own container, where it really is."""
        if not steps.keys() <= self.steps.keys():
            self.steps.update(steps)
            self.changed.set()


@dataclass(eq=False)
class _Place:
    """Where the reader is in one stream: the next line's number. `source` is where its lines are, `log` what they were
    last read from, live.
    """

    stream: Stream
    next: int
    source: Stream
    live: bool = False
    ended: bool = False
    log: LiveLog | None = None


class RunReading:
    """One reader of one run. `steps` are slugs, None for all; `after` the last lines that the reader has."""

    def __init__(
        self,
        hub: LiveLogs,
        store: ObjectStore,
        namespace: str,
        run: str,
        steps: Set[str] | None,
        after: Mapping[Stream, int],
        borrowed: Borrowed | None = None,
    ) -> None:
        self._hub = hub
        self._store = store
        self._namespace = namespace
        self._run = run
        self._steps = steps
        self._after = after
        self._borrowed = borrowed or Borrowed()
        self._places: dict[Stream, _Place] = {}

    async def frames(self, finished: asyncio.Event) -> AsyncGenerator[Frame, None]:
        """Frames until `finished` is set and all streams have ended; then Done."""
        subscription, leave = self._hub.subscribe(self._namespace, self._run)
        try:
            for stream in sorted(await reader.streams(self._store, self._namespace, self._run)):
                self._meet(stream)
            for log in self._hub.logs(self._namespace, self._run):
                self._meet(log.stream)
            changed = list(self._places.values())
            last_look = False
            while True:
                changed += await self._meet_borrowed()
                for place in changed:
                    async for frame in self._advance(place):
                        yield frame
                changed = self._changed(subscription, changed)
                if changed or self._borrowed.changed.is_set():
                    continue
                if finished.is_set() and last_look and all(each.ended for each in self._places.values()):
                    yield Done()
                    return
                if finished.is_set() and not last_look:
                    # A stream may have come and gone from the hub between our looks.
                    last_look = True
                    for stream in sorted(await reader.streams(self._store, self._namespace, self._run)):
                        self._meet(stream)
                    changed = [each for each in self._places.values() if not each.ended]
                    continue
                await _first_of(subscription.changed, finished, self._borrowed.changed)
        finally:
            leave()

    def _meet(self, stream: Stream) -> None:
        if stream not in self._places and (self._steps is None or stream.slug in self._steps):
            self._places[stream] = _Place(stream, self._after.get(stream, 0) + 1, stream)

    async def _meet_borrowed(self) -> list[_Place]:
        """The places of steps that are now known to be from another run."""
        if not self._borrowed.changed.is_set():
            return []
        self._borrowed.changed.clear()
        met: list[_Place] = []
        for slug, real in self._borrowed.steps.items():
            if self._steps is not None and slug not in self._steps:
                continue
            for source in sorted(await reader.streams(self._store, real.namespace, real.run)):
                shown = Stream(self._namespace, self._run, slug, source.attempt, source.container)
                if (source.slug, source.attempt) == (real.slug, real.attempt) and shown not in self._places:
                    self._places[shown] = _Place(shown, self._after.get(shown, 0) + 1, source)
                    met.append(self._places[shown])
        return met

    def _changed(self, subscription: Subscription, before: list[_Place]) -> list[_Place]:
        """The places where something is new: told by the hub, or more than one turn could take."""
        streams = subscription.take()
        for stream in sorted(streams):
            self._meet(stream)
        told = [self._places[stream] for stream in sorted(streams) if stream in self._places]
        behind = [each for each in before if each.stream not in streams and self._is_behind(each)]
        return [each for each in (*behind, *told) if not each.ended]

    def _is_behind(self, place: _Place) -> bool:
        log = self._hub.get(place.source)
        if place.ended:
            return False
        return log is None or place.next < log.ring.end or log.ended

    async def _advance(self, place: _Place) -> AsyncGenerator[Frame, None]:
        """One turn of one stream: all of its backlog, or the next piece of what comes."""
        if place.ended:
            return
        if not place.live:
            async for frame in self._from_anywhere(place):
                yield frame
            place.live = True
            yield Live(place.stream)
        elif self._is_opened_anew(place):
            async for frame in self._from_anywhere(place):
                yield frame
        place.log = log = self._hub.get(place.source)
        if log is None or (log.archived and place.next < log.ring.first):
            async for frame in self._from_anywhere(place):
                yield frame
            place.ended = True
            yield End(place.stream, place.next - 1)
            return
        if place.next < log.ring.first:
            yield Missed(place.stream, place.next, log.ring.first - 1)
            place.next = log.ring.first
        block = log.ring.since(place.next, PULL_BYTES)
        if block is not None:
            place.next = block.end
            yield Lines(place.stream, block)
        if log.ended and place.next >= log.ring.end:
            place.ended = True
            yield End(place.stream, log.ring.end - 1)

    def _is_opened_anew(self, place: _Place) -> bool:
        """Whether somebody else goes on with the stream, beyond the reader: chunks have what lies between."""
        log = self._hub.get(place.source)
        return log is not None and log is not place.log and place.next < log.ring.first

    async def _from_anywhere(self, place: _Place) -> AsyncGenerator[Frame, None]:
        async for block in blocks_from(self._hub, self._store, place.source, place.next):
            if block.first > place.next:
                yield Missed(place.stream, place.next, block.first - 1)
            place.next = block.end
            yield Lines(place.stream, block)


async def _first_of(*events: asyncio.Event) -> None:
    """Waits until one of the events that are not yet set is."""
    waits = [asyncio.ensure_future(each.wait()) for each in events if not each.is_set()]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
