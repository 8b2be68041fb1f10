"""Collects the logs of containers: one task per stream follows, masks, numbers, publishes and archives it.

The operator calls `follow` as often as it likes and `result` to learn whether a log is archived. A failing object store
is retried with back-off; meanwhile a stream's output stays in memory, and when that is full the stream is not read on,
so the output stays in the cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from controller.command_mark import CommandMark
from controller.logs.archive.chunk import read_chunk
from controller.logs.archive.summary import Failure, Summary
from controller.logs.archive.writer import ArchiveWriter
from controller.logs.collect.follower import Finished, Follower, Gap, ReconnectPolicy, Sleep
from controller.logs.collect.line_numbering import LineNumberer
from controller.logs.collect.mark_reader import MarkReader
from controller.logs.collect.pod_log_source import LogClient, PodId, PodLogSource
from controller.logs.collect.resume import ResumePoint
from controller.logs.failure.first_failure import SEARCH_BYTES, first_failure, last_line
from controller.logs.live.hub import LiveLog, LogHub
from controller.logs.masking.mask import SecretMasker, SecretPatterns
from controller.logs.model import STEP_CONTAINER, Block, Stream
from controller.storage import ObjectStore, StorageError

if TYPE_CHECKING:
    from controller.run_types.objects import LogSummary

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024
MAX_CHUNK_BYTES = 4 * 1024 * 1024
MAX_PENDING_BYTES = 8 * 1024 * 1024
MAX_CHUNK_AGE = 5.0
FLUSH_INTERVAL = 1.0
MAX_RUN_BYTES = 1024 * 1024 * 1024
"""Default of the maximum size of all logs of a run. What exceeds it is read and dropped, and the log says so."""
_YIELD_BYTES = 256 * 1024
_MAX_RETRY_DELAY = 10.0

T = TypeVar("T")


@dataclass(eq=False)
class _ActiveStream:
    """A stream being collected. `pending_since` is when its oldest pending line came (monotonic seconds)."""

    archive: ArchiveWriter
    log: LiveLog
    record: _StreamRecord
    writable: asyncio.Event = field(default_factory=asyncio.Event)
    writing: asyncio.Task[None] | None = None
    pending_since: float | None = None
    error: Exception | None = None
    """Why writing chunks failed, other than by a storage error, which is retried."""


@dataclass
class _StreamRecord:
    """What is known of a stream: the task that collects it, then its summary."""

    task: asyncio.Task[None] | None = None
    summary: Summary | None = None
    size: int = 0
    """Bytes that count towards the limit of its run."""


class LogCollector:
    """Follows and archives logs.

    `on_archived` is called with each stream whose log is stored. `clock` is monotonic, in seconds;
    `sleep` waits by it.
    """

    def __init__(
        self,
        client: LogClient,
        store: ObjectStore,
        clock: Callable[[], float],
        on_archived: Callable[[Stream], None],
        *,
        hub: LogHub | None = None,
        retry_policy: ReconnectPolicy | None = None,
        sleep: Sleep = asyncio.sleep,
        run_limit: int = MAX_RUN_BYTES,
    ) -> None:
        self._client = client
        self._store = store
        self._on_archived = on_archived
        self._retry_policy = retry_policy or ReconnectPolicy()
        self._clock = clock
        self._sleep = sleep
        self._records: dict[tuple[str, str], dict[Stream, _StreamRecord]] = {}
        self._patterns: dict[tuple[str, str], dict[frozenset[bytes], asyncio.Future[SecretPatterns]]] = {}
        self._not_started: list[Callable[[asyncio.TaskGroup], None]] = []
        self._group: asyncio.TaskGroup | None = None
        self._active: set[_ActiveStream] = set()
        self._run_limit = run_limit
        self._run_sizes: Counter[tuple[str, str]] = Counter()
        self.hub = hub or LogHub()
        self.bytes_collected = 0

    @property
    def following(self) -> int:
        """The number of streams that are being followed or archived."""
        return len(self._active)

    async def run(self) -> None:
        """Collects until cancelled. May be called again; unfinished streams then need a new `follow`."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for begin in self._not_started:
                    begin(group)
                self._not_started = []
                while True:
                    await self._sleep(FLUSH_INTERVAL)
                    self._write_aged_chunks()
        finally:
            self._group = None
            for entries in self._records.values():
                for stream in [each for each, entry in entries.items() if entry.summary is None]:
                    del entries[stream]

    def follow(
        self,
        *,
        namespace: str,
        run_uid: str,
        slug: str,
        attempt: int,
        container: str,
        pod: str,
        pod_uid: str,
        secrets: Iterable[bytes] = (),
    ) -> None:
        """Ensures that this container's log is followed and archived. Returns at once; repeated calls do nothing."""
        stream = Stream(namespace, run_uid, slug, attempt, container)
        kept = self._records.setdefault((namespace, run_uid), {})
        if stream in kept:
            return
        entry = kept[stream] = _StreamRecord()
        values = frozenset(secrets)

        def begin(group: asyncio.TaskGroup) -> None:
            if self._records.get((namespace, run_uid), {}).get(stream) is entry:
                entry.task = group.create_task(
                    self._collect(stream, PodId(pod, pod_uid), values, entry), name=stream.key
                )

        if self._group is None:
            self._not_started.append(begin)
        else:
            begin(self._group)

    def result(self, *, namespace: str, run_uid: str, slug: str, attempt: int, container: str) -> LogSummary | None:
        """The `log` object of an attempt's status once the log is archived; None before."""
        stream = Stream(namespace, run_uid, slug, attempt, container)
        entry = self._records.get((namespace, run_uid), {}).get(stream)
        return None if entry is None or entry.summary is None else entry.summary.to_status()

    def forget(self, namespace: str, run_uid: str) -> None:
        """Stops following a run's logs and drops them from memory; what is stored stays."""
        for entry in self._records.pop((namespace, run_uid), {}).values():
            if entry.task is not None and not entry.task.done():
                entry.task.cancel()
        self._patterns.pop((namespace, run_uid), None)
        self._run_sizes.pop((namespace, run_uid), None)
        self.hub.forget(namespace, run_uid)

    async def _secret_patterns(self, stream: Stream, values: frozenset[bytes]) -> SecretPatterns:
        """The patterns, compiled once for all containers of a run that see the same secrets.

        In a thread: large values take up to a second, in which the other logs and runs go on.
        """
        known = self._patterns.setdefault((stream.namespace, stream.run_uid), {})
        found = known.get(values)
        if found is None or (found.done() and found.exception() is not None):
            found = known[values] = asyncio.ensure_future(asyncio.to_thread(SecretPatterns, values))
        # The other containers of the run need the patterns even if this one is no longer followed.
        return await asyncio.shield(found)

    async def _collect(self, stream: Stream, pod: PodId, values: frozenset[bytes], entry: _StreamRecord) -> None:
        """Collects one stream, from where it stands to its archive."""
        failures = 0
        while entry.summary is None:
            try:
                patterns = await self._secret_patterns(stream, values) if values else SecretPatterns(())
                entry.summary = await self._collect_once(stream, pod, patterns, entry)
            except Exception:
                # An unexpected error must neither end the other streams nor leave this one without a log.
                logger.exception("log collection for %s failed; restarting", stream.key)
                failures += 1
                await self._sleep(min(60.0, 2.0**failures))
        self._on_archived(stream)

    async def _collect_once(
        self, stream: Stream, pod: PodId, patterns: SecretPatterns, entry: _StreamRecord
    ) -> Summary:
        archive, summary = await self._retry_store(lambda: self._open_archive(stream), stream)
        lines, commands = (archive.lines, archive.commands) if summary is None else (summary.lines, summary.commands)
        log = self.hub.open(stream, lines + 1, archive.chunks, commands)
        self._set_size(stream, entry, archive.size if summary is None else summary.size)
        if summary is not None:
            self.hub.mark_archived(log)
            return summary
        work = _ActiveStream(archive, log, entry)
        self._active.add(work)
        try:
            exit_code = await self._follow(work, pod, patterns)
            self.hub.mark_ended(log)
            failed = exit_code is not None and exit_code != 0
            if work.writing is not None:
                await asyncio.wait({work.writing})
            _raise_error(work)
            blocks = await self._last_blocks(work) if failed else []
            # In a thread: it takes up to a tenth of a second, in which the other logs and runs go on.
            failure, last = await asyncio.to_thread(_failure_excerpt, blocks) if blocks else (None, None)
            summary = await self._retry_store(lambda: archive.finish(failure, last), stream)
        finally:
            self._active.discard(work)
            if work.writing is not None:
                work.writing.cancel()
        self.hub.mark_archived(log)
        return summary

    async def _last_blocks(self, work: _ActiveStream) -> list[Block]:
        """The end of the output. For a log that an earlier process began, the ring buffer may hold too little."""
        blocks = work.log.ring.tail(SEARCH_BYTES)
        if work.log.ring.size < SEARCH_BYTES and work.archive.chunks:
            key = work.archive.chunks[-1].key
            stored = await self._retry_store(lambda: read_chunk(self._store, key), work.log.stream)
            blocks = [stored.block.until_line(work.log.ring.first), *blocks]
        return blocks

    async def _open_archive(self, stream: Stream) -> tuple[ArchiveWriter, Summary | None]:
        archive = ArchiveWriter(self._store, stream)
        return archive, await archive.open()

    async def _follow(self, work: _ActiveStream, pod: PodId, patterns: SecretPatterns) -> int | None:
        """Follows the stream to its end; returns the container's exit code if it is known."""
        stream, archive = work.log.stream, work.archive
        source = PodLogSource(self._client, stream.namespace, pod, stream.container)
        follower = Follower(
            source,
            ResumePoint(archive.recent_times),
            retry_policy=self._retry_policy,
            sleep=self._sleep,
            monotonic=self._clock,
        )
        marks = _mark_reader(stream, archive)
        numberer = LineNumberer(SecretMasker(patterns), archive.lines + 1, archive.gaps, marks=marks)
        # An earlier process may have cut it off.
        is_cut = self._is_over_limit(stream) and archive.lines > 0
        bytes_since_yield = 0
        async for event in follower.events():
            if isinstance(event, Finished):
                if not is_cut:
                    self._add(work, numberer.end(), numberer.gaps)
                return event.exit_code
            if is_cut:
                await asyncio.sleep(0)
                continue
            if isinstance(event, Gap):
                logger.warning("log %s has a gap: %s", stream.key, event.why)
                self._add(work, numberer.gap(event.why), numberer.gaps)
                continue
            _raise_error(work)
            self._add(work, numberer.add(event), numberer.gaps)
            if commands := numberer.take_commands():
                archive.commands += commands
                self.hub.add_commands(work.log, commands)
            if self._is_over_limit(stream):
                is_cut = True
                limit = f"the logs of a run may have {self._run_limit:,} bytes in all"
                self._add(work, numberer.gap(f"the rest of this log is not stored: {limit}"), numberer.gaps)
                logger.warning("log %s is cut off: %s", stream.key, limit)
            bytes_since_yield += len(event.data)
            if bytes_since_yield > _YIELD_BYTES:
                # A stream that always has more to read must not starve the others.
                bytes_since_yield = 0
                await asyncio.sleep(0)
            if archive.pending_bytes > MAX_PENDING_BYTES:
                work.writable.clear()
                await work.writable.wait()
        return None

    def _add(self, work: _ActiveStream, block: Block | None, gaps: int) -> None:
        """Passes new lines to the readers, and to the archive once enough are pending."""
        work.archive.gaps = gaps
        if block is None:
            return
        self.hub.publish(work.log, block)
        work.archive.add(block)
        self.bytes_collected += len(block.data)
        self._set_size(work.log.stream, work.record, work.archive.size)
        if work.pending_since is None:
            work.pending_since = self._clock()
        if work.archive.pending_bytes >= CHUNK_BYTES:
            self._start_writing(work)

    def _set_size(self, stream: Stream, record: _StreamRecord, size: int) -> None:
        self._run_sizes[stream.namespace, stream.run_uid] += size - record.size
        record.size = size

    def _is_over_limit(self, stream: Stream) -> bool:
        return self._run_sizes[stream.namespace, stream.run_uid] >= self._run_limit

    def _write_aged_chunks(self) -> None:
        now = self._clock()
        for work in self._active:
            if work.pending_since is not None and now - work.pending_since >= MAX_CHUNK_AGE and not work.log.ended:
                self._start_writing(work)

    def _start_writing(self, work: _ActiveStream) -> None:
        """Starts writing pending lines, unless that is in progress."""
        if self._group is not None and (work.writing is None or work.writing.done()):
            work.writing = self._group.create_task(self._write_chunks(work), name=f"{work.log.stream.key}.d")

    async def _write_chunks(self, work: _ActiveStream) -> None:
        """Writes chunks until little is pending. An error is left for the task that follows the stream."""
        try:
            await self._write_pending(work)
        except Exception as fault:
            work.error = fault
            work.writable.set()

    async def _write_pending(self, work: _ActiveStream) -> None:
        archive = work.archive
        while archive.pending_bytes:
            await self._retry_store(lambda: archive.write_chunk(MAX_CHUNK_BYTES), work.log.stream)
            if archive.pending_bytes <= MAX_PENDING_BYTES // 2:
                work.writable.set()
            if archive.pending_bytes < CHUNK_BYTES:
                break
        work.pending_since = self._clock() if archive.pending_bytes else None

    async def _retry_store(self, attempt: Callable[[], Awaitable[T]], stream: Stream) -> T:
        """Retries with back-off until the store succeeds."""
        wait = 0.1
        while True:
            try:
                return await attempt()
            except StorageError as problem:
                logger.warning("log %s is waiting for the object store: %s", stream.key, problem)
                await self._sleep(wait)
                wait = min(_MAX_RETRY_DELAY, wait * 2)


def _mark_reader(stream: Stream, archive: ArchiveWriter) -> MarkReader | None:
    if stream.container != STEP_CONTAINER:
        return None
    latest = archive.commands[-1].command if archive.commands else -1
    return MarkReader(CommandMark.of_attempt(stream.run_uid, stream.slug, stream.attempt), latest)


def _failure_excerpt(blocks: list[Block]) -> tuple[Failure | None, str | None]:
    """The first failure and the last line of a failed container's output."""
    return first_failure(blocks), last_line(blocks)


def _raise_error(work: _ActiveStream) -> None:
    if work.error is not None:
        raise work.error
