"""Publishes one run's logs from the leader's hub to one mirror: a snapshot first, then changes.

A mirror receives only what the store does not have: references to chunks, and the lines after them. Nothing is buffered
for it. A mirror that falls behind the ring buffer restarts where that begins, and reads the rest from the chunks.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

from controller.log_relay.protocol import (
    ChunksStored,
    CommandsAdded,
    Heartbeat,
    LinesAppended,
    Message,
    PartialLineChanged,
    RunDropped,
    SnapshotEnd,
    StreamArchived,
    StreamEnded,
    StreamOpened,
)
from controller.logs.blocks import READ_BYTES
from controller.logs.live.hub import LiveLog, LogHub
from controller.logs.model import PartialLine, Stream

HEARTBEAT_SECONDS = 1.0
BATCH_SECONDS = 0.005
_MAX_BLOCKS = 8


@dataclass(eq=False)
class _PublishedState:
    """What the mirror knows of a stream: its next line, how many chunks and commands, whether it has ended."""

    log: LiveLog
    next: int
    chunks: int = 0
    commands: int = 0
    ended: bool = False
    archived: bool = False
    partial: PartialLine | None = None


class RunLogPublisher:
    """Publishes one run to one mirror.

    `cursors` are the next lines that the mirror wants of streams it knows; `is_open` says whether to go on. With
    `partial_lines` it also gets the states of unfinished lines.
    """

    def __init__(
        self,
        hub: LogHub,
        namespace: str,
        run_uid: str,
        cursors: Mapping[Stream, int],
        is_open: Callable[[], bool],
        *,
        partial_lines: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._has_partial_lines = partial_lines
        self._hub = hub
        self._namespace = namespace
        self._run_uid = run_uid
        self._cursors = cursors
        self._is_open = is_open
        self._sleep = sleep
        self._published: dict[Stream, _PublishedState] = {}

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Messages until it is no longer open."""
        subscription, leave = self._hub.subscribe(self._namespace, self._run_uid)
        try:
            for log in self._hub.logs(self._namespace, self._run_uid):
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
                # A busy step prints a thousand times a second; a mirror needs its lines in fewer messages.
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
            for log in self._hub.logs(self._namespace, self._run_uid):
                yield from self._updates(log)
                published = self._published.get(log.stream)
                more = more or (published is not None and published.log is log and published.next < log.ring.end)

    def _updates(self, log: LiveLog) -> Iterator[Message]:
        published = self._published.get(log.stream)
        if published is None or published.log is not log or published.next < log.ring.first:
            published = self._published[log.stream] = _PublishedState(
                log, self._first_line(log), len(log.chunks), len(log.commands)
            )
            yield StreamOpened(log.stream, published.next, tuple(log.chunks), tuple(log.commands))
        if len(log.commands) > published.commands:
            yield CommandsAdded(log.stream, tuple(log.commands[published.commands :]))
            published.commands = len(log.commands)
        if len(log.chunks) > published.chunks:
            yield ChunksStored(log.stream, tuple(log.chunks[published.chunks :]))
            published.chunks = len(log.chunks)
        for _ in range(_MAX_BLOCKS):
            block = None if log.archived else log.ring.since(published.next, READ_BYTES)
            if block is None or published.next < log.ring.first:
                break
            published.next = block.end
            yield LinesAppended(log.stream, block)
        partial = log.partial if self._has_partial_lines else None
        if partial is not None and partial != published.partial and published.next >= log.ring.end:
            published.partial = partial
            yield PartialLineChanged(log.stream, partial)
        if log.archived:
            if not published.archived:
                published.ended = published.archived = True
                published.next = log.ring.end
                yield StreamArchived(log.stream, log.ring.end, tuple(log.commands))
        elif log.ended and not published.ended and published.next >= log.ring.end:
            published.ended = True
            yield StreamEnded(log.stream, log.ring.end)

    def _first_line(self, log: LiveLog) -> int:
        """The first line to send: the mirror's cursor, or else the first line that no chunk has."""
        wanted = self._cursors.get(log.stream, 0)
        if log.archived:
            return log.ring.end
        if log.ring.first <= wanted <= log.ring.end:
            return wanted
        return max(log.ring.first, log.chunks[-1].end if log.chunks else 0)
