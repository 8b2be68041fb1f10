"""Collects the logs of containers: one task per stream follows, masks, numbers, publishes and archives it.

The operator calls `follow` as often as it likes and `result` to learn whether a log is archived. A failing object store
is retried with back-off; meanwhile a stream's output stays in memory, and when that is full the stream is not read on,
so the output stays in the cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.logs.archive.summary import Summary
from controller.logs.collect.follower import ReconnectPolicy, Sleep
from controller.logs.collect.pod_log_source import LogClient, PodId
from controller.logs.collect.run_sizes import RunSizes
from controller.logs.collect.stream_collector import CollectionContext, StreamCollector
from controller.logs.live.hub import LogHub
from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.patterns import SecretPatterns, no_patterns
from controller.logs.model import Stream
from controller.storage import ObjectStore

if TYPE_CHECKING:
    from controller.run_types.objects import LogSummary

logger = logging.getLogger(__name__)

FLUSH_INTERVAL = 1.0
MAX_RUN_BYTES = 1024 * 1024 * 1024
"""Default of the maximum size of all logs of a run. What exceeds it is read and dropped, and the log says so."""


@dataclass
class _StreamRecord:
    """What is known of a stream: the task that collects it, then its summary."""

    task: asyncio.Task[None] | None = None
    summary: Summary | None = None


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
        self.hub = hub or LogHub()
        self._on_archived = on_archived
        self._sleep = sleep
        self._context = CollectionContext(
            client, store, self.hub, RunSizes(run_limit), retry_policy or ReconnectPolicy(), clock, sleep
        )
        self._records: dict[tuple[str, str], dict[Stream, _StreamRecord]] = {}
        self._patterns: dict[tuple[str, str], dict[frozenset[bytes], asyncio.Future[SecretPatterns]]] = {}
        self._not_started: list[Callable[[asyncio.TaskGroup], None]] = []
        self._group: asyncio.TaskGroup | None = None

    @property
    def following(self) -> int:
        """The number of streams that are being followed or archived."""
        return len(self._context.writers)

    @property
    def bytes_collected(self) -> int:
        """Bytes of masked output that this process has collected."""
        return self._context.sizes.collected

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
                    for writer in self._context.writers:
                        writer.write_aged()
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
        records = self._records.setdefault((namespace, run_uid), {})
        if stream in records:
            return
        entry = records[stream] = _StreamRecord()
        values = frozenset(secrets)

        def begin(group: asyncio.TaskGroup) -> None:
            if self._records.get((namespace, run_uid), {}).get(stream) is entry:
                entry.task = group.create_task(
                    self._collect(stream, PodId(pod, pod_uid), values, entry, group), name=stream.key
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

    def mask(self, namespace: str, run_uid: str, text: str, secrets: Iterable[bytes]) -> str | None:
        """The text without these secrets; None while the patterns for them are not compiled."""
        values = frozenset(secrets)
        if not values:
            return text
        patterns = self._patterns.get((namespace, run_uid), {}).get(values)
        if patterns is None or not patterns.done() or patterns.cancelled() or patterns.exception() is not None:
            return None
        masker = SecretMasker(patterns.result())
        masked = masker.feed(text.encode("utf-8", "surrogatepass")) + masker.flush()
        return masked.decode("utf-8", "replace")

    def forget(self, namespace: str, run_uid: str) -> None:
        """Stops following a run's logs and drops them from memory; what is stored stays."""
        for entry in self._records.pop((namespace, run_uid), {}).values():
            if entry.task is not None and not entry.task.done():
                entry.task.cancel()
        self._patterns.pop((namespace, run_uid), None)
        self._context.sizes.forget(namespace, run_uid)
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

    async def _collect(
        self, stream: Stream, pod: PodId, values: frozenset[bytes], entry: _StreamRecord, group: asyncio.TaskGroup
    ) -> None:
        """Collects one stream, from where it stands to its archive; after an error from there again."""
        failures = 0
        while entry.summary is None:
            try:
                patterns = await self._secret_patterns(stream, values) if values else no_patterns()
                entry.summary = await StreamCollector(self._context, stream, pod, patterns, group).run()
            except Exception:
                # An unexpected error must neither end the other streams nor leave this one without a log.
                logger.exception("log collection for %s failed; restarting", stream.key)
                failures += 1
                await self._sleep(min(60.0, 2.0**failures))
        self._on_archived(stream)
