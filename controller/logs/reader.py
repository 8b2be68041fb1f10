"""Reads the logs of running and finished runs: one stream, or a whole run live.

Line numbers are the same for every reader. Nothing is buffered per reader: each takes from the ring buffer or the store
as fast as it can.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence, Set

from controller.logs.archive import reader
from controller.logs.archive.reader import ArchivedLog
from controller.logs.blocks import read_blocks
from controller.logs.errors import LogNotFoundError
from controller.logs.live.hub import LiveLogs
from controller.logs.model import Block, CommandStart, Frame, Line, Stream
from controller.logs.run_stream import ReusedLogs, RunLogStream
from controller.logs.timestamps import format_lines
from controller.storage import ObjectStore


class LogReader:
    """Reads live logs from a hub (the collector's, or a mirror of it) and archived logs from the store."""

    def __init__(self, hub: LiveLogs, store: ObjectStore) -> None:
        self._hub = hub
        self._store = store

    async def streams(self, namespace: str, run_uid: str) -> list[Stream]:
        """The run's streams, live and archived, sorted."""
        live = {log.stream for log in self._hub.logs(namespace, run_uid)}
        return sorted(live | await reader.archived_streams(self._store, namespace, run_uid))

    async def read(self, stream: Stream, *, tail: int | None = None, after: int = 0) -> AsyncGenerator[Line, None]:
        """The existing lines: the last `tail`, those after a number, or all.

        Raises LogNotFoundError.
        """
        async for block in self.blocks(stream, tail=tail, after=after):
            for line in block.lines():
                yield line

    async def text(
        self, stream: Stream, *, tail: int | None = None, after: int = 0, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """The same as text, byte for byte; with `timestamps`, each line starts with its time (`-` if unknown)."""
        async for block in self.blocks(stream, tail=tail, after=after):
            yield format_lines(block.times, block.data) if timestamps else block.data

    async def blocks(self, stream: Stream, *, tail: int | None = None, after: int = 0) -> AsyncGenerator[Block, None]:
        """The same in blocks of many lines, which is faster."""
        log = self._hub.get(stream)
        archived = None
        if log is None or (log.archived and log.ring.first > 1):
            archived = await ArchivedLog.find(self._store, stream)
            if archived is None and log is None:
                await self._hub.wait_for_sync(stream.namespace, stream.run_uid)
                log = self._hub.get(stream)
        if log is None or (log.archived and log.ring.first > 1):
            archived = archived or await ArchivedLog.find(self._store, stream)
            if archived is None:
                description = f"{stream.slug}, attempt {stream.attempt}, container {stream.container}"
                raise LogNotFoundError(f"the run has no log of {description}")
            async for block in archived.blocks(tail=tail, after=after):
                yield block
            return
        end = log.ring.end
        number = max(after + 1, 1 if tail is None else end - tail)
        if number >= end:
            return
        async for block in read_blocks(self._hub, self._store, stream, number):
            yield block.until_line(end)
            if block.end >= end:
                return

    async def count_until(self, stream: Stream, time_ns: int) -> int:
        """How many lines an archived log had at a time, in nanoseconds since 1970. Raises LogNotFoundError."""
        archived = await ArchivedLog.find(self._store, stream)
        if archived is None:
            raise LogNotFoundError(f"the log of {stream.slug}, attempt {stream.attempt}, is not archived")
        return await archived.count_until(time_ns)

    async def commands(self, stream: Stream) -> Sequence[CommandStart]:
        """The commands of the step that have started. Raises LogNotFoundError."""
        log = self._hub.get(stream)
        if log is None and (archived := await ArchivedLog.find(self._store, stream)) is not None:
            return archived.summary.commands
        if log is None:
            await self._hub.wait_for_sync(stream.namespace, stream.run_uid)
            log = self._hub.get(stream)
        if log is None:
            raise LogNotFoundError(f"the run has no log of {stream.slug}, attempt {stream.attempt}")
        return tuple(log.commands)

    async def follow_run(
        self,
        namespace: str,
        run_uid: str,
        *,
        finished: asyncio.Event,
        steps: Set[str] | None = None,
        after: Mapping[Stream, int] | None = None,
        reused_logs: ReusedLogs | None = None,
        partial_lines: bool = False,
    ) -> AsyncGenerator[Frame, None]:
        """A run's logs as they come, until `finished` is set and every stream has ended.

        For each stream: the backlog, BacklogEnd, what follows, StreamEnd; at last RunEnd. `steps` are slugs, None means
        all; later streams are included, and those of `reused_logs`. `after` is the last line of a stream that the
        caller has. With `partial_lines`, also the states of lines that are being written. The caller sets `finished`
        when the run has ended, which implies that its logs are archived.
        """
        reading = RunLogStream(
            self._hub, self._store, namespace, run_uid, steps, after or {}, reused_logs, partial_lines=partial_lines
        )
        async for frame in reading.frames(finished):
            yield frame
