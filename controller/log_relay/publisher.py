"""What one mirror is told about one run, from the leader's hub: a picture first, then what changes.

A mirror is told only what the store does not have: chunks by name, and the lines after them. Nothing is buffered for
it. A mirror that is slower than the ring is told anew where the ring begins, and finds what lies between in the chunks.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

from controller.log_relay.protocol import (
    ChunksStored,
    Heartbeat,
    LinesAppended,
    Message,
    RunDropped,
    SnapshotEnd,
    StreamArchived,
    StreamEnded,
    StreamOpened,
)
from controller.logs.blocks import READ_BYTES
from controller.logs.live.hub import LiveLog, LogHub
from controller.logs.model import Stream

HEARTBEAT_SECONDS = 1.0
BATCH_SECONDS = 0.005
_MAX_BLOCKS = 8


@dataclass(eq=False)
class _PublishedState:
    """What the mirror knows of a stream: the next line's number, how many chunks, and its end."""

    log: LiveLog
    next: int
    chunks: int = 0
    ended: bool = False
    archived: bool = False


class RunLogPublisher:
    """One mirror of one run. `have` are the next lines that the mirror wants of streams it knows; `open` says for how
    long it may be told.
    """

    def __init__(
        self,
        hub: LogHub,
        namespace: str,
        run: str,
        cursors: Mapping[Stream, int],
        is_open: Callable[[], bool],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._hub = hub
        self._namespace = namespace
        self._run = run
        self._cursors = cursors
        self._is_open = is_open
        self._sleep = sleep
        self._published: dict[Stream, _PublishedState] = {}

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Messages until it is no longer open."""
        subscription, leave = self._hub.subscribe(self._namespace, self._run)
        try:
            for log in self._hub.logs(self._namespace, self._run):
                for message in self._updates(log):
                    yield message
            yield SnapshotEnd()
            while self._is_open():
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await subscription.changed.wait()
                except TimeoutError:
                    yield Heartbeat()
                subscription.take()
                for message in self._changes():
                    yield message
                # A busy step prints a thousand times a second; a mirror needs its lines in fewer pieces.
                await self._sleep(BATCH_SECONDS)
        finally:
            leave()

    def _changes(self) -> Iterator[Message]:
        if any(self._hub.get(stream) is None for stream in self._published):
            self._published.clear()
            yield RunDropped()
        more = True
        while more:
            more = False
            for log in self._hub.logs(self._namespace, self._run):
                yield from self._updates(log)
                told = self._published.get(log.stream)
                more = more or (told is not None and told.log is log and told.next < log.ring.end)

    def _updates(self, log: LiveLog) -> Iterator[Message]:
        told = self._published.get(log.stream)
        if told is None or told.log is not log or told.next < log.ring.first:
            told = self._published[log.stream] = _PublishedState(log, self._first_line(log), len(log.chunks))
            yield StreamOpened(log.stream, told.next, tuple(log.chunks))
        if len(log.chunks) > told.chunks:
            yield ChunksStored(log.stream, tuple(log.chunks[told.chunks :]))
            told.chunks = len(log.chunks)
        for _ in range(_MAX_BLOCKS):
            block = None if log.archived else log.ring.since(told.next, READ_BYTES)
            if block is None or told.next < log.ring.first:
                break
            told.next = block.end
            yield LinesAppended(log.stream, block)
        if log.archived:
            if not told.archived:
                told.ended = told.archived = True
                told.next = log.ring.end
                yield StreamArchived(log.stream, log.ring.end)
        elif log.ended and not told.ended and told.next >= log.ring.end:
            told.ended = True
            yield StreamEnded(log.stream, log.ring.end)

    def _first_line(self, log: LiveLog) -> int:
        """The first line to tell: where the mirror is, else the first one that no chunk has."""
        wanted = self._cursors.get(log.stream, 0)
        if log.archived:
            return log.ring.end
        if log.ring.first <= wanted <= log.ring.end:
            return wanted
        return max(log.ring.first, log.chunks[-1].end if log.chunks else 0)
