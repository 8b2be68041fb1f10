"""Collects one stream: from where its archive stands to the summary that ends it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.command_mark import CommandMark
from controller.logs.archive.chunk import read_chunk
from controller.logs.archive.summary import Failure, Summary
from controller.logs.archive.writer import ArchiveWriter
from controller.logs.collect.follower import Finished, Follower, Gap, ReconnectPolicy, Sleep
from controller.logs.collect.line_numbering import LineNumberer
from controller.logs.collect.mark_reader import MarkReader
from controller.logs.collect.partial_lines import PartialLines
from controller.logs.collect.pod_log_source import LogClient, PodId, PodLogSource
from controller.logs.collect.resume import ResumePoint
from controller.logs.collect.run_sizes import RunSizes
from controller.logs.collect.stream_writer import StreamWriter, retry_store
from controller.logs.failure.first_failure import SEARCH_BYTES, first_failure, last_line
from controller.logs.live.hub import LogHub
from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.patterns import SecretPatterns
from controller.logs.model import STEP_CONTAINER, Block, Stream
from controller.storage import ObjectStore

logger = logging.getLogger(__name__)

_YIELD_BYTES = 256 * 1024


@dataclass(frozen=True)
class CollectionContext:
    """What the collectors of all streams share.

    Attributes:
        clock: seconds on a monotonic clock; `sleep` waits by it.
        writers: of the streams that are being followed or archived.
    """

    client: LogClient
    store: ObjectStore
    hub: LogHub
    sizes: RunSizes
    retry_policy: ReconnectPolicy
    clock: Callable[[], float]
    sleep: Sleep
    writers: set[StreamWriter] = field(default_factory=set)


class StreamCollector:
    """Follows, masks, numbers and archives one stream.

    Args:
        group: runs the tasks that write chunks.
    """

    def __init__(
        self,
        context: CollectionContext,
        stream: Stream,
        pod: PodId,
        patterns: SecretPatterns,
        group: asyncio.TaskGroup,
    ) -> None:
        self._context = context
        self._stream = stream
        self._pod = pod
        self._patterns = patterns
        self._group = group

    async def run(self) -> Summary:
        """Collect the rest of the stream; the summary of the whole.

        Raises:
            Exception: whatever made it impossible; the object store and the cluster are retried.
        """
        context, archive = self._context, ArchiveWriter(self._context.store, self._stream)
        summary = await retry_store(archive.open, self._stream, context.sleep)
        stored = archive if summary is None else summary
        log = context.hub.open(self._stream, stored.lines + 1, archive.chunks, stored.commands)
        context.sizes.update(self._stream, stored.size)
        if summary is None:
            writer = StreamWriter(archive, log, context.hub, context.sizes, self._group, context.clock, context.sleep)
            context.writers.add(writer)
            try:
                summary = await self._collect(writer)
            finally:
                context.writers.discard(writer)
                writer.close()
        context.hub.mark_archived(log)
        return summary

    async def _collect(self, writer: StreamWriter) -> Summary:
        exit_code = await self._follow(writer)
        self._context.hub.mark_ended(writer.log)
        await writer.wait_for_chunks()
        blocks = await self._last_blocks(writer) if exit_code not in (None, 0) else []
        # In a thread: it takes up to a tenth of a second, in which the other logs and runs go on.
        failure, last = await asyncio.to_thread(_failure_excerpt, blocks) if blocks else (None, None)
        return await retry_store(lambda: writer.archive.finish(failure, last), self._stream, self._context.sleep)

    async def _follow(self, writer: StreamWriter) -> int | None:
        """Follow the stream to its end; the container's exit code if it is known."""
        context, archive = self._context, writer.archive
        marks = _mark_reader(self._stream, archive)
        numberer = LineNumberer(SecretMasker(self._patterns), archive.lines + 1, archive.gaps, marks=marks)
        partial_lines = PartialLines(numberer, writer.log, context.hub, self._group, context.sleep)
        try:
            return await self._read_lines(writer, numberer, partial_lines)
        finally:
            partial_lines.close()

    async def _read_lines(
        self, writer: StreamWriter, numberer: LineNumberer, partial_lines: PartialLines
    ) -> int | None:
        """Pass all lines on; the container's exit code if it is known."""
        sizes, archive = self._context.sizes, writer.archive
        # An earlier process may have cut it off.
        is_cut = sizes.is_exceeded(self._stream) and archive.lines > 0
        bytes_since_yield = 0
        async for event in self._follower(archive).events():
            if isinstance(event, Finished):
                if not is_cut:
                    writer.add(numberer.end(), numberer.gaps)
                return event.exit_code
            if is_cut:
                await asyncio.sleep(0)
                continue
            if isinstance(event, Gap):
                logger.warning("log %s has a gap: %s", self._stream.key, event.why)
                writer.add(numberer.gap(event.why), numberer.gaps)
                continue
            writer.add(numberer.add(event), numberer.gaps)
            writer.add_commands(numberer.take_commands())
            partial_lines.output_came()
            if sizes.is_exceeded(self._stream):
                is_cut = True
                self._cut_off(writer, numberer)
            bytes_since_yield += len(event.data)
            if bytes_since_yield > _YIELD_BYTES:
                # A stream that always has more to read must not starve the others.
                bytes_since_yield = 0
                await asyncio.sleep(0)
            await writer.wait_until_writable()
        return None

    def _follower(self, archive: ArchiveWriter) -> Follower:
        context = self._context
        return Follower(
            PodLogSource(context.client, self._stream.namespace, self._pod, self._stream.container),
            ResumePoint(archive.recent_times),
            retry_policy=context.retry_policy,
            sleep=context.sleep,
            monotonic=context.clock,
        )

    def _cut_off(self, writer: StreamWriter, numberer: LineNumberer) -> None:
        """Say in the log that the rest of it is not stored."""
        limit = f"the logs of a run may have {self._context.sizes.limit:,} bytes in all"
        writer.add(numberer.gap(f"the rest of this log is not stored: {limit}"), numberer.gaps)
        logger.warning("log %s is cut off: %s", self._stream.key, limit)

    async def _last_blocks(self, writer: StreamWriter) -> list[Block]:
        """The end of the output. For a log that an earlier process began, the ring buffer may hold too little."""
        ring, chunks = writer.log.ring, writer.archive.chunks
        blocks = ring.tail(SEARCH_BYTES)
        if ring.size < SEARCH_BYTES and chunks:
            key = chunks[-1].key
            stored = await retry_store(lambda: read_chunk(self._context.store, key), self._stream, self._context.sleep)
            blocks = [stored.block.until_line(ring.first), *blocks]
        return blocks


def _mark_reader(stream: Stream, archive: ArchiveWriter) -> MarkReader | None:
    if stream.container != STEP_CONTAINER:
        return None
    latest = archive.commands[-1].command if archive.commands else -1
    return MarkReader(CommandMark.of_attempt(stream.run_uid, stream.slug, stream.attempt), latest)


def _failure_excerpt(blocks: list[Block]) -> tuple[Failure | None, str | None]:
    """The first failure and the last line of a failed container's output."""
    return first_failure(blocks), last_line(blocks)
