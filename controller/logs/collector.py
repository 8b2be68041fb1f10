"""Keeps the logs of all containers that the operator names: one task each follows, masks, numbers, shows and archives.

The operator calls `follow` as often as it likes and asks `result` whether a log is archived. An object store that fails
is tried again with growing waits; meanwhile a stream's output stays in memory, and when that is full it stays where
it came from, in the cluster, because the stream is not read on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from controller.logs.archive.chunk import load
from controller.logs.archive.summary import Summary
from controller.logs.archive.writer import Archive
from controller.logs.collect.follower import Finished, Follower, Gap, Patience, Sleep
from controller.logs.collect.line_numbering import Numberer
from controller.logs.collect.pod_log_source import ClusterSource, LogClient
from controller.logs.collect.resume import Position
from controller.logs.failure.first_failure import SEARCHED_BYTES, first_failure, last_line
from controller.logs.live.hub import Hub, LiveLog
from controller.logs.masking.mask import Mask, Patterns
from controller.logs.model import Block, Stream
from controller.storage import ObjectStore, StorageError

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024
LARGEST_CHUNK = 4 * 1024 * 1024
PENDING_BYTES = 8 * 1024 * 1024
CHUNK_AGE = 5.0
TICK = 1.0
_TURN_BYTES = 256 * 1024
_LONGEST_WAIT = 10.0

T = TypeVar("T")


@dataclass(eq=False)
class _Work:
    """One stream in progress. `since` is when the oldest pending line came (monotonic seconds)."""

    archive: Archive
    log: LiveLog
    room: asyncio.Event = field(default_factory=asyncio.Event)
    writing: asyncio.Task[None] | None = None
    since: float | None = None
    fault: Exception | None = None
    """What went wrong when chunks were written, but for a store that fails: that is tried again."""


@dataclass
class _Kept:
    """What is known of a stream: the task that keeps it, then its summary."""

    task: asyncio.Task[None] | None = None
    summary: Summary | None = None


class LogKeeper:
    """Follows and archives logs.

    `on_archived` is told each stream whose log is in the store. `clock` is monotonic, in seconds, and `sleep`
    waits by it.
    """

    def __init__(
        self,
        client: LogClient,
        store: ObjectStore,
        clock: Callable[[], float],
        on_archived: Callable[[Stream], None],
        *,
        hub: Hub | None = None,
        patience: Patience | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._client = client
        self._store = store
        self._on_archived = on_archived
        self._patience = patience or Patience()
        self._clock = clock
        self._sleep = sleep
        self._kept: dict[tuple[str, str], dict[Stream, _Kept]] = {}
        self._patterns: dict[tuple[str, str], dict[frozenset[bytes], Patterns]] = {}
        self._waiting: list[Callable[[asyncio.TaskGroup], None]] = []
        self._group: asyncio.TaskGroup | None = None
        self._works: set[_Work] = set()
        self.hub = hub or Hub()
        self.bytes_kept = 0

    @property
    def following(self) -> int:
        """How many streams are being followed or archived now."""
        return len(self._works)

    async def run(self) -> None:
        """Does the work, until cancelled. May be called again then: what was not finished wants a new `follow`."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for begin in self._waiting:
                    begin(group)
                self._waiting = []
                while True:
                    await self._sleep(TICK)
                    self._write_what_is_old()
        finally:
            self._group = None
            for entries in self._kept.values():
                for stream in [each for each, entry in entries.items() if entry.summary is None]:
                    del entries[stream]

    def follow(
        self,
        *,
        namespace: str,
        run: str,
        slug: str,
        attempt: int,
        container: str,
        pod: str,
        secrets: Iterable[bytes] = (),
    ) -> None:
        """Sees to it that this container's log is followed and archived. Returns at once; can be called again."""
        stream = Stream(namespace, run, slug, attempt, container)
        kept = self._kept.setdefault((namespace, run), {})
        if stream in kept:
            return
        entry = kept[stream] = _Kept()
        patterns = self._patterns_of(namespace, run, secrets)

        def begin(group: asyncio.TaskGroup) -> None:
            if self._kept.get((namespace, run), {}).get(stream) is entry:
                entry.task = group.create_task(self._keep(stream, pod, patterns, entry), name=stream.key)

        if self._group is None:
            self._waiting.append(begin)
        else:
            begin(self._group)

    def result(self, *, namespace: str, run: str, slug: str, attempt: int, container: str) -> dict[str, Any] | None:
        """The `log` object of an attempt's status, once the log is archived; None before."""
        stream = Stream(namespace, run, slug, attempt, container)
        entry = self._kept.get((namespace, run), {}).get(stream)
        return None if entry is None or entry.summary is None else entry.summary.status()

    def forget(self, namespace: str, run: str) -> None:
        """Stops following a run's logs and drops what is in memory of it; what is in the store stays."""
        for entry in self._kept.pop((namespace, run), {}).values():
            if entry.task is not None and not entry.task.done():
                entry.task.cancel()
        self._patterns.pop((namespace, run), None)
        self.hub.forget(namespace, run)

    def _patterns_of(self, namespace: str, run: str, secrets: Iterable[bytes]) -> Patterns:
        """Compiled once for all containers of a run that see the same secrets."""
        values = frozenset(secrets)
        known = self._patterns.setdefault((namespace, run), {})
        if values not in known:
            known[values] = Patterns(values)
        return known[values]

    async def _keep(self, stream: Stream, pod: str, patterns: Patterns, entry: _Kept) -> None:
        """One stream, from wherever it stands to its archive."""
        failures = 0
        while entry.summary is None:
            try:
                entry.summary = await self._keep_once(stream, pod, patterns)
            except Exception:
                # A fault of ours must neither end the other streams nor leave this one without a log.
                logger.exception("keeping the log %s failed; it is begun again", stream.key)
                failures += 1
                await self._sleep(min(60.0, 2.0**failures))
        self._on_archived(stream)

    async def _keep_once(self, stream: Stream, pod: str, patterns: Patterns) -> Summary:
        archive, summary = await self._stored(lambda: self._open(stream), stream)
        log = self.hub.open(stream, archive.lines + 1 if summary is None else summary.lines + 1, archive.chunks)
        if summary is not None:
            self.hub.archived(log)
            return summary
        work = _Work(archive, log)
        self._works.add(work)
        try:
            exit_code = await self._follow(work, pod, patterns)
            self.hub.end(log)
            failed = exit_code is not None and exit_code != 0
            if work.writing is not None:
                await asyncio.wait({work.writing})
            _raise_fault(work)
            blocks = await self._last_blocks(work) if failed else []
            failure, last = first_failure(blocks), last_line(blocks)
            summary = await self._stored(lambda: archive.finish(failure, last), stream)
        finally:
            self._works.discard(work)
            if work.writing is not None:
                work.writing.cancel()
        self.hub.archived(log)
        return summary

    async def _last_blocks(self, work: _Work) -> list[Block]:
        """The end of the output. Of a log that an earlier controller began, the ring may hold too little."""
        blocks = work.log.ring.tail(SEARCHED_BYTES)
        if work.log.ring.size < SEARCHED_BYTES and work.archive.chunks:
            key = work.archive.chunks[-1].key
            block, _ = await self._stored(lambda: load(self._store, key), work.log.stream)
            blocks = [block.until_line(work.log.ring.first), *blocks]
        return blocks

    async def _open(self, stream: Stream) -> tuple[Archive, Summary | None]:
        archive = Archive(self._store, stream)
        return archive, await archive.open()

    async def _follow(self, work: _Work, pod: str, patterns: Patterns) -> int | None:
        """Follows to the end; the container's exit code, when it is known."""
        stream, archive = work.log.stream, work.archive
        source = ClusterSource(self._client, stream.namespace, pod, stream.container)
        follower = Follower(
            source,
            Position(archive.recent_times),
            patience=self._patience,
            sleep=self._sleep,
            monotonic=self._clock,
        )
        numberer = Numberer(Mask(patterns), archive.lines + 1, archive.gaps)
        turn = 0
        async for event in follower.events():
            if isinstance(event, Finished):
                self._add(work, numberer.end(), numberer.gaps)
                return event.exit_code
            if isinstance(event, Gap):
                logger.warning("the log %s has a gap: %s", stream.key, event.why)
                self._add(work, numberer.gap(event.why), numberer.gaps)
                continue
            _raise_fault(work)
            self._add(work, numberer.add(event), numberer.gaps)
            turn += len(event.data)
            if turn > _TURN_BYTES:
                # A stream that always has more to read would never let the others have a turn.
                turn = 0
                await asyncio.sleep(0)
            if archive.pending_bytes > PENDING_BYTES:
                work.room.clear()
                await work.room.wait()
        return None

    def _add(self, work: _Work, block: Block | None, gaps: int) -> None:
        """New lines: to the readers, and to the archive when enough has gathered."""
        work.archive.gaps = gaps
        if block is None:
            return
        self.hub.publish(work.log, block)
        work.archive.add(block)
        self.bytes_kept += len(block.data)
        if work.since is None:
            work.since = self._clock()
        if work.archive.pending_bytes >= CHUNK_BYTES:
            self._write(work)

    def _write_what_is_old(self) -> None:
        now = self._clock()
        for work in self._works:
            if work.since is not None and now - work.since >= CHUNK_AGE and not work.log.ended:
                self._write(work)

    def _write(self, work: _Work) -> None:
        """Starts writing what is pending, unless that is being done."""
        if self._group is not None and (work.writing is None or work.writing.done()):
            work.writing = self._group.create_task(self._write_chunks(work), name=f"{work.log.stream.key}.d")

    async def _write_chunks(self, work: _Work) -> None:
        """Writes chunks until little is pending. A fault is left for who follows the stream: it ends no other."""
        try:
            await self._write_all(work)
        except Exception as fault:
            work.fault = fault
            work.room.set()

    async def _write_all(self, work: _Work) -> None:
        archive = work.archive
        while archive.pending_bytes:
            await self._stored(lambda: archive.write_chunk(LARGEST_CHUNK), work.log.stream)
            if archive.pending_bytes <= PENDING_BYTES // 2:
                work.room.set()
            if archive.pending_bytes < CHUNK_BYTES:
                break
        work.since = self._clock() if archive.pending_bytes else None

    async def _stored(self, attempt: Callable[[], Awaitable[T]], stream: Stream) -> T:
        """Tries until the store does it."""
        wait = 0.1
        while True:
            try:
                return await attempt()
            except StorageError as problem:
                logger.warning("the log %s waits for the object store: %s", stream.key, problem)
                await self._sleep(wait)
                wait = min(_LONGEST_WAIT, wait * 2)


def _raise_fault(work: _Work) -> None:
    if work.fault is not None:
        raise work.fault
