"""Passes the lines of a stream to its readers, and archives them in chunks.

A failing object store is retried with back-off; meanwhile lines stay in memory, and when that is full the writer is not
writable, so that the stream is not read on and the output stays in the cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from controller.logs.archive.writer import ArchiveWriter
from controller.logs.collect.follower import Sleep
from controller.logs.collect.run_sizes import RunSizes
from controller.logs.live.hub import LiveLog, LogHub
from controller.logs.model import Block, CommandStart, Stream
from controller.storage import StorageError

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024
MAX_CHUNK_BYTES = 4 * 1024 * 1024
MAX_PENDING_BYTES = 8 * 1024 * 1024
MAX_CHUNK_AGE = 5.0
_MAX_RETRY_DELAY = 10.0

T = TypeVar("T")


async def retry_store(attempt: Callable[[], Awaitable[T]], stream: Stream, sleep: Sleep) -> T:
    """Retry with back-off until the object store succeeds."""
    wait = 0.1
    while True:
        try:
            return await attempt()
        except StorageError as problem:
            logger.warning("log %s is waiting for the object store: %s", stream.key, problem)
            await sleep(wait)
            wait = min(_MAX_RETRY_DELAY, wait * 2)


class StreamWriter:
    """Publishes and archives one stream that is being followed.

    Args:
        group: runs the tasks that write chunks.
        clock: seconds on a monotonic clock; `sleep` waits by it.
    """

    def __init__(
        self,
        archive: ArchiveWriter,
        log: LiveLog,
        hub: LogHub,
        sizes: RunSizes,
        group: asyncio.TaskGroup,
        clock: Callable[[], float],
        sleep: Sleep,
    ) -> None:
        self.archive = archive
        self.log = log
        self._hub = hub
        self._sizes = sizes
        self._group = group
        self._clock = clock
        self._sleep = sleep
        self._writable = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._pending_since: float | None = None
        """When the oldest pending line came."""
        self._error: Exception | None = None
        """Why writing chunks failed, other than by a storage error, which is retried."""

    def add(self, block: Block | None, gaps: int) -> None:
        """Pass new lines to the readers, and to the archive once enough are pending.

        Args:
            gaps: places of the stream so far in which lines may be missing.

        Raises:
            Exception: an earlier chunk could not be written, for another reason than the store.
        """
        self._raise_error()
        self.archive.gaps = gaps
        if block is None:
            return
        self._hub.publish(self.log, block)
        self.archive.add(block)
        self._sizes.collected += len(block.data)
        self._sizes.update(self.log.stream, self.archive.size)
        if self._pending_since is None:
            self._pending_since = self._clock()
        if self.archive.pending_bytes >= CHUNK_BYTES:
            self._start_writing()

    def add_commands(self, commands: Sequence[CommandStart]) -> None:
        """Pass the starts of commands to the readers and to the archive."""
        if commands:
            self.archive.commands += commands
            self._hub.add_commands(self.log, commands)

    async def wait_until_writable(self) -> None:
        """Wait while as much is pending as may be."""
        if self.archive.pending_bytes > MAX_PENDING_BYTES:
            self._writable.clear()
            await self._writable.wait()

    def write_aged(self) -> None:
        """Start to write a chunk of lines that have been pending for long."""
        since = self._pending_since
        if since is not None and self._clock() - since >= MAX_CHUNK_AGE and not self.log.ended:
            self._start_writing()

    async def wait_for_chunks(self) -> None:
        """Wait until no chunk is being written. Raises why one could not be."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
        self._raise_error()

    def close(self) -> None:
        """Stop writing; what is pending is left to the archive."""
        if self._writing is not None:
            self._writing.cancel()

    def _raise_error(self) -> None:
        """Raise why a chunk could not be written, if one could not."""
        if self._error is not None:
            raise self._error

    def _start_writing(self) -> None:
        """Start writing pending lines, unless that is in progress."""
        if self._writing is None or self._writing.done():
            self._writing = self._group.create_task(self._write_chunks(), name=f"{self.log.stream.key}.d")

    async def _write_chunks(self) -> None:
        """Write chunks until little is pending. An error is left for the task that follows the stream."""
        try:
            await self._write_pending()
        except Exception as fault:
            self._error = fault
            self._writable.set()

    async def _write_pending(self) -> None:
        archive = self.archive
        while archive.pending_bytes:
            await retry_store(lambda: archive.write_chunk(MAX_CHUNK_BYTES), self.log.stream, self._sleep)
            if archive.pending_bytes <= MAX_PENDING_BYTES // 2:
                self._writable.set()
            if archive.pending_bytes < CHUNK_BYTES:
                break
        self._pending_since = self._clock() if archive.pending_bytes else None
