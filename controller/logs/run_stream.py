"""Streams the logs of a whole run to one reader, over all its streams.

Each stream is delivered as its backlog, `BacklogEnd`, live lines and `StreamEnd`. A reader that is too slow misses
lines, and receives which in `MissedLines`.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence, Set
from dataclasses import dataclass

from controller.logs.archive import reader
from controller.logs.blocks import READ_BYTES, read_blocks
from controller.logs.live.hub import LiveLog, LiveLogs, Subscription
from controller.logs.model import (
    BacklogEnd,
    CommandsStarted,
    CommandStart,
    Frame,
    LinePart,
    Lines,
    MissedLines,
    PartialLine,
    RunEnd,
    Stream,
    StreamEnd,
)
from controller.storage import ObjectStore


class ReusedLogs:
    """Steps whose result was reused from another run, by their slugs in this run: their logs appear as this run's own.

    More of them may become known while a reader is attached.
    """

    def __init__(self) -> None:
        self.steps: dict[str, Stream] = {}
        self.changed = asyncio.Event()

    def update(self, steps: Mapping[str, Stream]) -> None:
        """Replaces what is known: for each slug, the stream of the step's own container where it really is."""
        if not steps.keys() <= self.steps.keys():
            self.steps.update(steps)
            self.changed.set()


@dataclass(eq=False)
class _Cursor:
    """The position of the reader in one stream.

    `next` is the number of the next line, `command` the index of the last command that the reader has been sent,
    `source` the stream that holds the lines, `log` the live log last read from, `partial` the state of an unfinished
    line that the reader has.
    """

    stream: Stream
    next: int
    source: Stream
    live: bool = False
    ended: bool = False
    log: LiveLog | None = None
    command: int = -1
    partial: PartialLine | None = None


class RunLogStream:
    """One reader of one run. `steps` are slugs, None for all; `after` the last lines that the reader has.

    With `partial_lines`, the reader also gets the states of unfinished lines; those that it is too slow for are left
    out.
    """

    def __init__(
        self,
        hub: LiveLogs,
        store: ObjectStore,
        namespace: str,
        run_uid: str,
        steps: Set[str] | None,
        after: Mapping[Stream, int],
        reused_logs: ReusedLogs | None = None,
        *,
        partial_lines: bool = False,
    ) -> None:
        self._hub = hub
        self._has_partial_lines = partial_lines
        self._store = store
        self._namespace = namespace
        self._run_uid = run_uid
        self._steps = steps
        self._after = after
        self._reused_logs = reused_logs or ReusedLogs()
        self._cursors: dict[Stream, _Cursor] = {}

    async def frames(self, finished: asyncio.Event) -> AsyncGenerator[Frame, None]:
        """Frames until `finished` is set and all streams have ended; then RunEnd."""
        subscription, leave = self._hub.subscribe(self._namespace, self._run_uid)
        try:
            for stream in sorted(await reader.archived_streams(self._store, self._namespace, self._run_uid)):
                self._add_stream(stream)
            for log in self._hub.logs(self._namespace, self._run_uid):
                self._add_stream(log.stream)
            changed = list(self._cursors.values())
            is_last_check = False
            while True:
                changed += await self._add_reused_streams()
                for cursor in changed:
                    async for frame in self._advance(cursor):
                        yield frame
                changed = self._changed_cursors(subscription, changed)
                if changed or self._reused_logs.changed.is_set():
                    continue
                if finished.is_set() and is_last_check and all(each.ended for each in self._cursors.values()):
                    yield RunEnd()
                    return
                if finished.is_set() and not is_last_check:
                    # A stream may have entered and left the hub between two checks.
                    is_last_check = True
                    for stream in sorted(await reader.archived_streams(self._store, self._namespace, self._run_uid)):
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
        """Cursors for steps that are now known to be reused from another run."""
        if not self._reused_logs.changed.is_set():
            return []
        self._reused_logs.changed.clear()
        added: list[_Cursor] = []
        for slug, real in self._reused_logs.steps.items():
            if self._steps is not None and slug not in self._steps:
                continue
            for source in sorted(await reader.archived_streams(self._store, real.namespace, real.run_uid)):
                shown = Stream(self._namespace, self._run_uid, slug, source.attempt, source.container)
                if (source.slug, source.attempt) == (real.slug, real.attempt) and shown not in self._cursors:
                    self._cursors[shown] = _Cursor(shown, self._after.get(shown, 0) + 1, source)
                    added.append(self._cursors[shown])
        return added

    def _changed_cursors(self, subscription: Subscription, previous: list[_Cursor]) -> list[_Cursor]:
        """The cursors with something new: reported by the hub, or with more than one call could deliver."""
        streams = subscription.take()
        for stream in sorted(streams):
            self._add_stream(stream)
        reported = [self._cursors[stream] for stream in sorted(streams) if stream in self._cursors]
        behind = [each for each in previous if each.stream not in streams and self._is_behind(each)]
        return [each for each in (*behind, *reported) if not each.ended]

    def _is_behind(self, cursor: _Cursor) -> bool:
        log = self._hub.get(cursor.source)
        if cursor.ended:
            return False
        return log is None or cursor.next < log.ring.end or log.ended

    async def _advance(self, cursor: _Cursor) -> AsyncGenerator[Frame, None]:
        """Delivers the next part of one stream: all of its backlog, or the next block of live lines."""
        if cursor.ended:
            return
        if (started := self._new_commands(cursor, await self._commands(cursor))) is not None:
            yield started
        if not cursor.live:
            async for frame in self._read_backlog(cursor):
                yield frame
            cursor.live = True
            yield BacklogEnd(cursor.stream)
        elif self._was_reopened(cursor):
            async for frame in self._read_backlog(cursor):
                yield frame
        cursor.log = log = self._hub.get(cursor.source)
        if log is None or (log.archived and cursor.next < log.ring.first):
            async for frame in self._read_backlog(cursor):
                yield frame
            cursor.ended = True
            yield StreamEnd(cursor.stream, cursor.next - 1)
            return
        if cursor.next < log.ring.first:
            yield MissedLines(cursor.stream, cursor.next, log.ring.first - 1)
            cursor.next = log.ring.first
        block = log.ring.since(cursor.next, READ_BYTES)
        if block is not None:
            cursor.next = block.end
            yield Lines(cursor.stream, block)
        partial = log.partial if self._has_partial_lines and cursor.next >= log.ring.end else None
        if partial is not None and partial != cursor.partial:
            cursor.partial = partial
            yield LinePart(cursor.stream, partial)
        if log.ended and cursor.next >= log.ring.end:
            cursor.ended = True
            yield StreamEnd(cursor.stream, log.ring.end - 1)

    async def _commands(self, cursor: _Cursor) -> Sequence[CommandStart]:
        log = self._hub.get(cursor.source)
        if log is not None:
            return log.commands
        archived = await reader.ArchivedLog.find(self._store, cursor.source)
        return archived.summary.commands if archived is not None else ()

    def _new_commands(self, cursor: _Cursor, commands: Sequence[CommandStart]) -> CommandsStarted | None:
        """The commands that the reader has not been sent."""
        new = tuple(command for command in commands if command.command > cursor.command)
        if not new:
            return None
        cursor.command = new[-1].command
        return CommandsStarted(cursor.stream, new)

    def _was_reopened(self, cursor: _Cursor) -> bool:
        """Whether another process continues the stream beyond the reader: the chunks hold what lies between."""
        log = self._hub.get(cursor.source)
        return log is not None and log is not cursor.log and cursor.next < log.ring.first

    async def _read_backlog(self, cursor: _Cursor) -> AsyncGenerator[Frame, None]:
        async for block in read_blocks(self._hub, self._store, cursor.source, cursor.next):
            if block.first > cursor.next:
                yield MissedLines(cursor.stream, cursor.next, block.first - 1)
            cursor.next = block.end
            yield Lines(cursor.stream, block)


async def _wait_any(*events: asyncio.Event) -> None:
    """Waits until one of the events that are not yet set is set."""
    waits = [asyncio.ensure_future(each.wait()) for each in events if not each.is_set()]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
