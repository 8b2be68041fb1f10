"""Records each ended run, while this process leads. What ended while nobody led is recorded at the start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from controller.kube import NAMESPACES, Informer, KubeClient, KubeError, NotFoundError, WorkQueue
from controller.run_types.order import CreationKey, creation_order
from controller.statistics.records import KEPT_RUNS, make_record, pipeline_of_record
from controller.statistics.store import PipelineKey, RecordStore, add_records
from controller.storage.errors import StorageError

Json = dict[str, Any]
_log = logging.getLogger("c8s.statistics")


class _Pipeline(NamedTuple):
    namespace: str
    name: str


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class StatisticsRecorder:
    """Runs in the leading operator.

    Args:
        runs: an informer on PipelineRuns, which the caller runs.
    """

    def __init__(
        self, client: KubeClient, store: RecordStore, runs: Informer, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._client = client
        self._store = store
        self._runs = runs
        self._now = now
        self._queue: WorkQueue[_Pipeline] = WorkQueue(fairness_key=lambda key: key.namespace)
        self._waiting: dict[_Pipeline, dict[str, Mapping[str, Any]]] = {}
        """Ended runs that are not recorded yet, by uid."""
        self._is_watching = False

    async def run(self) -> None:
        """Run until cancelled."""
        if not self._is_watching:
            # Handlers can't be removed: a process that leads again has its handler already.
            self._runs.on_change(self._on_run)
            self._is_watching = True
        await self._runs.wait_for_sync()
        for run in self._runs.list():
            self._on_run("ADDED", None, run)
        while True:
            await self._record_next()

    def _on_run(self, kind: str, old: Json | None, new: Json | None) -> None:
        # A run that is deleted at its end is known from its last version.
        run = new or old or {}
        pipeline = pipeline_of_record(run)
        had_ended = old is not None and pipeline_of_record(old) is not None
        if pipeline is None or (had_ended and kind == "MODIFIED"):
            return
        key = _Pipeline(str(run["metadata"]["namespace"]), pipeline)
        waiting = self._waiting.setdefault(key, {})
        waiting[str(run["metadata"]["uid"])] = run
        while len(waiting) > 2 * KEPT_RUNS:
            # At the start, of a pipeline with many runs: the oldest are not kept anyway.
            oldest = min(waiting, key=lambda uid: _end_order(waiting[uid]))
            del waiting[oldest]
        self._queue.add(key)

    async def _record_next(self) -> None:
        key = await self._queue.get()
        waiting = dict(self._waiting.get(key, {}))
        try:
            uid = str((await self._client.get(NAMESPACES, key.namespace))["metadata"]["uid"])
            records = await asyncio.to_thread(lambda: [make_record(run) for run in waiting.values()])
            await add_records(self._store, PipelineKey(key.namespace, uid, key.name), records, self._now())
            self._done(key, waiting)
            self._queue.forget(key)
        except NotFoundError:
            self._done(key, waiting)
            self._queue.forget(key)
        except (KubeError, StorageError) as error:
            _log.warning("the statistics of %s/%s are not written: %s", key.namespace, key.name, error)
            self._queue.add_rate_limited(key)
        except Exception:
            # The boundary: one pipeline's statistics must not stop the others, nor the operator.
            _log.exception("the statistics of %s/%s are not written", key.namespace, key.name)
            self._done(key, waiting)
        finally:
            self._queue.done(key)

    def _done(self, key: _Pipeline, recorded: Mapping[str, Any]) -> None:
        left = self._waiting.get(key, {})
        for uid in recorded:
            left.pop(uid, None)
        if not left:
            self._waiting.pop(key, None)


def _end_order(run: Mapping[str, Any]) -> tuple[str, CreationKey[str]]:
    """Sorts ended runs by their end; of those that ended together, as they were created."""
    return str((run.get("status") or {}).get("completionTime")), creation_order(run)
