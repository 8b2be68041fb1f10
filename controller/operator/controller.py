"""The controller of PipelineRuns: informers report changes, queues order the runs, workers reconcile them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.kube import (
    EVENTS,
    JOBS,
    NODES,
    PIPELINE_RUNS,
    PODS,
    Informer,
    KubeClient,
    KubeError,
    NotFoundError,
    WorkQueue,
    WorkQueueDurations,
    WorkQueueMetrics,
)
from controller.metrics.duration_histogram import DurationHistogram
from controller.operator import names
from controller.operator.cache.owned_resources import run_key_of
from controller.operator.cache.resource_cache import ResourceCache
from controller.operator.cache.trim import trim_event, trim_job, trim_pod
from controller.operator.decision import concurrency
from controller.operator.decision.finalizer import is_deleted
from controller.operator.effects.event_recorder import EventRecorder
from controller.operator.effects.retention import RetentionSweeper
from controller.operator.effects.status_writer import WriteResult
from controller.operator.interfaces import AttemptLogs, CloneTokenError, CloneTokens
from controller.operator.log_context import reconcile_scope
from controller.operator.reconciler import Dependencies, Reconciler, utc_now
from controller.operator.run_object import as_run, status_of
from controller.operator.settings import OperatorSettings
from controller.run_types.keys import AttemptKey, RunId, RunKey
from controller.run_types.phases import FINAL_RUN_PHASES
from controller.run_types.summary import RUNS_PAGE_SIZE, summarize_run
from controller.storage.base import ObjectStore

if TYPE_CHECKING:
    from controller.run_types.objects import ResourceUsage, RunObject

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_STALE_RETRY_SECONDS = 0.2
_PRIORITIES = {"high": 1, "normal": 0, "low": -1}


class RunController:
    """Runs PipelineRuns.

    Args:
        runs: an informer on PipelineRuns that is shared with others; without it, the controller runs its own.
        archived_logs: the runs of which a log has been archived; they are reconciled.
        is_leader: whether no other operator can be at work.
    """

    def __init__(
        self,
        client: KubeClient,
        logs: AttemptLogs,
        store: ObjectStore,
        settings: OperatorSettings,
        *,
        runs: Informer | None = None,
        archived_logs: asyncio.Queue[RunId] | None = None,
        now: Callable[[], datetime] = utc_now,
        is_leader: Callable[[], bool] = lambda: True,
        clone_tokens: CloneTokens | None = None,
        usage: Callable[[str], Mapping[AttemptKey, ResourceUsage]] = lambda _: {},
    ) -> None:
        self._settings = settings
        self._recorder = EventRecorder(client, now)
        self.queue_durations = WorkQueueDurations(("runs", "status"))
        self._queue = self._new_queue("runs")
        self._status_queue = self._new_queue("status")
        self._owns_run_informer = runs is None
        self._runs = runs or Informer(client, PIPELINE_RUNS, page_size=RUNS_PAGE_SIZE, transform=summarize_run)
        self._archived_logs = archived_logs or asyncio.Queue()
        self._cache = ResourceCache(now)
        self._reconciler = Reconciler(
            Dependencies(
                client,
                logs,
                store,
                settings,
                self._recorder,
                now,
                is_leader=is_leader,
                clone_tokens=clone_tokens,
                usage=usage,
            ),
            self._cache,
            self._schedule_status_write,
            self._list_runs,
            self._make_room,
        )
        self._jobs = Informer(client, JOBS, label_selector=labels.MANAGED_SELECTOR, transform=trim_job)
        self._pods = Informer(client, PODS, label_selector=labels.MANAGED_SELECTOR, transform=trim_pod)
        self._nodes = Informer(client, NODES)
        self._create_failures = Informer(client, EVENTS, field_selector="reason=FailedCreate", transform=trim_event)
        self._image_pulls = Informer(client, EVENTS, field_selector="reason=Pulling", transform=trim_event)
        # Of others. Ours that lack room are known by the status of their step.
        self._pending_pods = Informer(
            client,
            PODS,
            label_selector=labels.FOREIGN_SELECTOR,
            field_selector="status.phase=Pending",
            transform=trim_pod,
        )
        self._sweeper = RetentionSweeper(client, store, settings, self._list_runs, now)

    @property
    def healthy(self) -> bool:
        """Whether the last list or watch of each informer succeeded."""
        return all(informer.healthy for informer in (self._runs, self._jobs, self._pods))

    def _new_queue(self, name: str) -> WorkQueue[RunKey]:
        metrics: WorkQueueMetrics[RunKey] = WorkQueueMetrics(name, self.queue_durations)
        return WorkQueue(fairness_key=lambda key: key.namespace, metrics=metrics)

    @property
    def queues(self) -> Mapping[str, WorkQueue[RunKey]]:
        """The work queues, by the name that their metrics have."""
        return {"runs": self._queue, "status": self._status_queue}

    @property
    def durations(self) -> tuple[DurationHistogram, ...]:
        """Durations of the steps and runs that ended while this process was the leader, by phase."""
        counted = self._reconciler.durations
        return counted.histogram, counted.queue, counted.runs

    def reconcile_soon(self, key: RunKey) -> None:
        """Reconcile a run: something that is observed of it has changed."""
        self._enqueue(key)

    async def run(self) -> None:
        """Run until cancelled."""
        self._runs.on_change(self._on_run)
        self._jobs.on_change(self._on_job)
        self._pods.on_change(self._on_pod)
        self._nodes.on_change(self._on_node)
        self._create_failures.on_change(self._on_create_failed)
        self._image_pulls.on_change(self._on_image_pull)
        self._pending_pods.on_change(self._on_pending_pod)
        informers = [self._jobs, self._pods, self._nodes, self._create_failures, self._image_pulls]
        informers += [self._runs] if self._owns_run_informer else []
        async with asyncio.TaskGroup() as group:
            for informer in informers:
                group.create_task(informer.run())
            group.create_task(self._watch_pending_pods())
            group.create_task(self._recorder.run())
            group.create_task(self._sweeper.run())
            for informer in (*informers, self._runs):
                await informer.wait_for_sync()
            # A shared informer may have reported its runs before this handler was added.
            for run in self._runs.list():
                self._on_run("ADDED", None, run)
            for _ in range(self._settings.workers):
                group.create_task(self._reconcile_worker())
                group.create_task(self._status_worker())
            group.create_task(self._enqueue_archived())

    # -- changes

    def _on_run(self, kind: str, old: Json | None, new: Json | None) -> None:
        found = new or old
        assert found is not None
        run = as_run(found)
        key = names.run_key(run)
        if kind == "MODIFIED" and old is not None and self._reconciler.on_status_change(key, as_run(old), run):
            # By then the answer to a write that causes this has arrived.
            self._status_queue.add_after(key, _STALE_RETRY_SECONDS)
        if kind == "DELETED" or (_is_finished(run) and self._reconciler.is_done(key)):
            self._reconciler.forget(key)
            if kind != "DELETED" and is_deleted(run):
                self._enqueue(key)
        elif old is None or _needs_reconcile(as_run(old), run):
            self._enqueue(key)
        if (
            kind == "DELETED"
            or _is_finished(run)
            or (_is_initialized(run) and not (old and _is_initialized(as_run(old))))
        ):
            self._enqueue_group_members(run)

    def _run(self, key: RunKey) -> RunObject | None:
        run = self._runs.get(*key)
        return as_run(run) if run is not None else None

    def _list_runs(self, namespace: str | None = None) -> list[RunObject]:
        return [as_run(run) for run in self._runs.list(namespace)]

    def _enqueue_group_members(self, run: RunObject) -> None:
        """Reconcile the runs that may wait for this one, after its group became known or it ended."""
        for other in self._list_runs(run["metadata"]["namespace"]):
            if concurrency.may_be_waiting(other) and concurrency.pipeline_name(other) == concurrency.pipeline_name(run):
                self._enqueue(names.run_key(other))

    def _on_job(self, kind: str, old: Json | None, new: Json | None) -> None:
        job = new or old
        assert job is not None
        key = self._cache.on_job(job, deleted=kind == "DELETED", before=old)
        if key is not None:
            self._enqueue(key)

    def _on_pod(self, kind: str, old: Json | None, new: Json | None) -> None:
        pod = new or old
        assert pod is not None
        key = self._cache.on_pod(pod, deleted=kind == "DELETED")
        if key is not None:
            self._enqueue(key)

    def _on_create_failed(self, kind: str, old: Json | None, new: Json | None) -> None:
        event = new or old
        assert event is not None
        self._cache.on_create_failed(event, deleted=kind == "DELETED")
        job = self._jobs.get(event["metadata"]["namespace"], str((event.get("involvedObject") or {}).get("name", "")))
        if job is not None and (key := run_key_of(job)) is not None:
            self._enqueue(key)

    def _on_image_pull(self, kind: str, old: Json | None, new: Json | None) -> None:
        if new is not None and kind != "DELETED" and (key := self._cache.on_image_pull(new)) is not None:
            self._enqueue(key)

    def _on_pending_pod(self, kind: str, old: Json | None, new: Json | None) -> None:
        pod = new or old
        assert pod is not None
        if self._cache.room.note_other(pod, time.monotonic(), deleted=kind == "DELETED"):
            self._make_room()

    def _make_room(self) -> None:
        """Something lacks room in the cluster: reconcile the runs of which pods wait at their gates."""
        for key in self._cache.runs_with_early_pods():
            self._enqueue(key)

    def _on_node(self, kind: str, old: Json | None, new: Json | None) -> None:
        self._cache.on_nodes(self._nodes.list())

    def _enqueue(self, key: RunKey) -> None:
        """Reconcile a run, with its priority."""
        self._queue.add(key, priority=self._priority(key))

    def _priority(self, key: RunKey) -> int:
        run = self._run(key)
        return _PRIORITIES.get(run["spec"].get("priority", "normal"), 0) if run is not None else 0

    def _schedule_status_write(self, key: RunKey, seconds: float) -> None:
        if seconds:
            self._status_queue.add_after(key, seconds)
        else:
            self._status_queue.add(key)

    # -- workers

    async def _watch_pending_pods(self) -> None:
        """Watch the pods of others that lack room, from when something is made ahead."""
        await self._cache.something_early.wait()
        await self._pending_pods.run()

    async def _enqueue_archived(self) -> None:
        while True:
            run = await self._archived_logs.get()
            if (key := self._cache.key_of(run.uid)) is not None:
                self._enqueue(key)

    async def _reconcile_worker(self) -> None:
        while True:
            key = await self._queue.get()
            with reconcile_scope(*key):
                try:
                    await self._reconcile(key)
                    self._queue.forget(key)
                except (KubeError, CloneTokenError) as error:
                    delay = self._queue.add_rate_limited(key, priority=self._priority(key))
                    _log.warning("reconcile of %s/%s failed: %s; retrying in %.2f s", *key, error, delay)
                except Exception:
                    # The boundary: a run that cannot be reconciled must not stop the others.
                    delay = self._queue.add_rate_limited(key, priority=self._priority(key))
                    _log.exception("reconcile of %s/%s failed; retrying in %.2f s", *key, delay)
                finally:
                    self._queue.done(key)
            # With more to do, nothing else of the loop would have its turn in between.
            await asyncio.sleep(0)

    async def _reconcile(self, key: RunKey) -> None:
        run = self._run(key)
        if run is None:
            return
        result = await self._reconciler.reconcile(run)
        if result.requeue_after is not None:
            self._queue.add_after(key, result.requeue_after, priority=self._priority(key))

    async def _status_worker(self) -> None:
        while True:
            key = await self._status_queue.get()
            try:
                await self._write_status(key)
                self._status_queue.forget(key)
            except NotFoundError:
                self._reconciler.forget(key)
            except KubeError as error:
                delay = self._status_queue.add_rate_limited(key)
                _log.warning("status write of %s/%s failed: %s; retrying in %.2f s", *key, error, delay)
            except Exception:
                # The boundary, as for reconciles.
                delay = self._status_queue.add_rate_limited(key)
                _log.exception("status write of %s/%s failed; retrying in %.2f s", *key, delay)
            finally:
                self._status_queue.done(key)
            await asyncio.sleep(0)

    async def _write_status(self, key: RunKey) -> None:
        result = await self._reconciler.write(key)
        if result is WriteResult.STALE:
            # By then the informer has what the API server has.
            self._queue.add_after(key, _STALE_RETRY_SECONDS)
        elif result is WriteResult.RECORDED:
            self._enqueue(key)
        elif result is WriteResult.DONE:
            run = self._run(key)
            # While the informer still shows the run as active, it must be remembered that it is done.
            if run is None or _is_finished(run):
                self._reconciler.forget(key)
                if run is not None and is_deleted(run):
                    self._enqueue(key)


def _is_finished(run: RunObject) -> bool:
    return status_of(run).get("phase") in FINAL_RUN_PHASES


def _is_initialized(run: RunObject) -> bool:
    """Whether the run has a status, so that its concurrency group is known."""
    return bool(status_of(run).get("phase"))


def _needs_reconcile(old: RunObject, new: RunObject) -> bool:
    """Whether more has changed than the status, which the operator itself writes."""
    return bool(
        old["metadata"]["uid"] != new["metadata"]["uid"]
        or old["metadata"].get("generation") != new["metadata"].get("generation")
        or old["metadata"].get("deletionTimestamp") != new["metadata"].get("deletionTimestamp")
    )
