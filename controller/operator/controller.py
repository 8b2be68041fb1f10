"""The operator: informers tell what changes, a queue says which run is next, the reconciler brings it forward."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from controller.kube import (
    EVENTS,
    JOBS,
    NODES,
    PIPELINE_RUNS,
    PODS,
    Informer,
    KubeClient,
    KubeError,
    NotFound,
    Spread,
    WorkQueue,
)
from controller.operator import names
from controller.operator.cache.owned_resources import Json, Key, key_of
from controller.operator.decision import concurrency
from controller.operator.decision.decide import RUN_FINAL
from controller.operator.decision.deletion import is_deleted
from controller.operator.effects.event_recorder import Recorder
from controller.operator.effects.retention import Shelves, Sweeper
from controller.operator.interfaces import AttemptLogs, Manifests
from controller.operator.log_context import looking_at
from controller.operator.reconciler import Reconciler
from controller.operator.settings import OperatorSettings

_log = logging.getLogger(__name__)

_STALE_PAUSE = 0.2
_PRIORITIES = {"high": 1, "normal": 0, "low": -1}


class Store(Manifests, Shelves, Protocol):
    """What the operator does with the object store."""


class Operator:
    """Runs PipelineRuns.

    Args:
        runs: an informer on PipelineRuns that others may share; without one the operator keeps its own.
    """

    def __init__(
        self,
        client: KubeClient,
        logs: AttemptLogs,
        store: Store,
        settings: OperatorSettings,
        *,
        runs: Informer | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._settings = settings
        self._now = now
        self._recorder = Recorder(client, now)
        self._queue: WorkQueue[Key] = WorkQueue(lane=lambda key: key[0])
        self._writes: WorkQueue[Key] = WorkQueue(lane=lambda key: key[0])
        self._own_runs = runs is None
        self._runs = runs or Informer(client, PIPELINE_RUNS)
        known = self._runs.list
        self._reconciler = Reconciler(client, logs, store, settings, self._recorder, now, self._status_changed, known)
        self._jobs = Informer(client, JOBS, label_selector=names.OURS)
        self._pods = Informer(client, PODS, label_selector=names.OURS)
        self._nodes = Informer(client, NODES)
        self._refusals = Informer(client, EVENTS, field_selector="reason=FailedCreate")
        self._pulls = Informer(client, EVENTS, field_selector="reason=Pulling")
        self._sweeper = Sweeper(client, store, settings, lambda: list(self._runs.list()), now)

    @property
    def healthy(self) -> bool:
        """Whether all informers could be refreshed last time."""
        return all(informer.healthy for informer in (self._runs, self._jobs, self._pods))

    def queued(self) -> int:
        """Runs that wait for a worker."""
        return len(self._queue)

    @property
    def queues(self) -> Mapping[str, WorkQueue[Key]]:
        """The queues by the names under which their numbers are told."""
        return {"runs": self._queue, "status": self._writes}

    @property
    def step_durations(self) -> Mapping[str, Spread]:
        """How long the steps took that ended while this operator led, by phase."""
        return self._reconciler.durations.by_phase

    def wake(self, namespace: str, run: str) -> None:
        """Something outside Kubernetes has happened to a run: one of its logs is archived."""
        self._ask((namespace, run))

    async def run(self) -> None:
        """Work until cancelled."""
        self._runs.on_change(self._run_changed)
        self._jobs.on_change(self._job_changed)
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)
        self._refusals.on_change(self._pod_refused)
        self._pulls.on_change(self._image_pulled)
        informers = [self._jobs, self._pods, self._nodes, self._refusals, self._pulls]
        informers += [self._runs] if self._own_runs else []
        async with asyncio.TaskGroup() as group:
            for informer in informers:
                group.create_task(informer.run())
            group.create_task(self._recorder.run())
            group.create_task(self._sweeper.run())
            for informer in (*informers, self._runs):
                await informer.synced()
            # A shared informer may have told of its runs before anybody listened here.
            for run in self._runs.list():
                self._run_changed("ADDED", None, run)
            for _ in range(self._settings.workers):
                group.create_task(self._work())
                group.create_task(self._write())

    # -- what is told

    def _run_changed(self, kind: str, old: Json | None, new: Json | None) -> None:
        run = new or old
        assert run is not None
        key = (run["metadata"]["namespace"], run["metadata"]["name"])
        if kind == "DELETED" or (_has_ended(run) and self._reconciler.is_over(key)):
            self._reconciler.forget(key)
            if kind != "DELETED" and is_deleted(run):
                self._ask(key)
        elif old is None or _asks_for_work(old, run):
            self._ask(key)
        if kind == "DELETED" or _has_ended(run) or (_is_read(run) and not _is_read(old or {})):
            self._ask_next(run)

    def _ask_next(self, run: Json) -> None:
        """Ask for a look at the runs that may wait for this one, of whose group or end something is known now."""
        for other in self._runs.list(run["metadata"]["namespace"]):
            if concurrency.waits(other) and concurrency.pipeline_of(other) == concurrency.pipeline_of(run):
                self._ask((other["metadata"]["namespace"], other["metadata"]["name"]))

    def _job_changed(self, kind: str, old: Json | None, new: Json | None) -> None:
        job = new or old
        assert job is not None
        key = self._reconciler.take_job(job, gone=kind == "DELETED")
        if key is not None:
            self._ask(key)

    def _pod_changed(self, kind: str, old: Json | None, new: Json | None) -> None:
        pod = new or old
        assert pod is not None
        key = self._reconciler.take_pod(pod, gone=kind == "DELETED")
        if key is not None:
            self._ask(key)

    def _pod_refused(self, kind: str, old: Json | None, new: Json | None) -> None:
        event = new or old
        assert event is not None
        self._reconciler.take_refusal(event, gone=kind == "DELETED")
        job = self._jobs.get(event["metadata"]["namespace"], str((event.get("involvedObject") or {}).get("name", "")))
        if job is not None and (key := key_of(job)) is not None:
            self._ask(key)

    def _image_pulled(self, kind: str, old: Json | None, new: Json | None) -> None:
        if new is not None and kind != "DELETED" and (key := self._reconciler.take_pull(new)) is not None:
            self._ask(key)

    def _node_changed(self, kind: str, old: Json | None, new: Json | None) -> None:
        found = sorted(self._nodes.list(), key=lambda node: str(node["metadata"]["name"]))
        self._reconciler.nodes = tuple(found)
        if found:
            runtime = (found[0].get("status") or {}).get("nodeInfo", {}).get("containerRuntimeVersion", "")
            images = "ignored" if runtime.startswith("process://") else "used"
            self._reconciler.runtime = {"name": runtime, "images": images}

    def _ask(self, key: Key) -> None:
        """Ask for a look at a run, by its own priority."""
        self._queue.add(key, priority=self._priority(key))

    def _priority(self, key: Key) -> int:
        run = self._runs.get(*key)
        return _PRIORITIES.get(run["spec"].get("priority", "normal"), 0) if run is not None else 0

    def _status_changed(self, key: Key, seconds: float) -> None:
        if seconds:
            self._writes.add_after(key, seconds)
        else:
            self._writes.add(key)

    # -- workers

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            with looking_at(*key):
                try:
                    await self._look(key)
                    self._queue.forget(key)
                except KubeError as error:
                    delay = self._queue.add_failed(key, priority=self._priority(key))
                    _log.warning("run %s/%s: %s; again in %.2f s", *key, error, delay)
                except Exception:
                    # The boundary: one run that can't be worked on must not stop the others; the log has the cause.
                    delay = self._queue.add_failed(key, priority=self._priority(key))
                    _log.exception("run %s/%s could not be worked on; again in %.2f s", *key, delay)
                finally:
                    self._queue.done(key)

    async def _look(self, key: Key) -> None:
        run = self._runs.get(*key)
        if run is None:
            return
        again = await self._reconciler.look(run)
        if again is not None:
            seconds = max(0.0, (again - self._now()).total_seconds())
            self._queue.add_after(key, seconds, priority=self._priority(key))

    async def _write(self) -> None:
        while True:
            key = await self._writes.get()
            try:
                outcome = await self._reconciler.write(key)
                self._writes.forget(key)
                if outcome == "stale":
                    # By then the cache has what the API server has.
                    self._queue.add_after(key, _STALE_PAUSE)
                elif outcome == "over" and ((run := self._runs.get(*key)) is None or _has_ended(run)):
                    # While the cache still shows it running, it must be remembered that it is over.
                    self._reconciler.forget(key)
                    if run is not None and is_deleted(run):
                        self._ask(key)
            except NotFound:
                self._reconciler.forget(key)
            except KubeError as error:
                delay = self._writes.add_failed(key)
                _log.warning("the status of %s/%s was not written: %s; again in %.2f s", *key, error, delay)
            except Exception:
                # The boundary, as for the work on runs.
                delay = self._writes.add_failed(key)
                _log.exception("the status of %s/%s was not written; again in %.2f s", *key, delay)
            finally:
                self._writes.done(key)


def _has_ended(run: Json) -> bool:
    return (run.get("status") or {}).get("phase") in RUN_FINAL


def _is_read(run: Json) -> bool:
    """Whether the operator has looked at it, so that its concurrency group is known."""
    return bool((run.get("status") or {}).get("phase"))


def _asks_for_work(old: Json, new: Json) -> bool:
    """Whether more than the status has changed, which is the operator's own."""
    return bool(
        old["metadata"]["uid"] != new["metadata"]["uid"]
        or old["metadata"].get("generation") != new["metadata"].get("generation")
        or old["metadata"].get("deletionTimestamp") != new["metadata"].get("deletionTimestamp")
    )
