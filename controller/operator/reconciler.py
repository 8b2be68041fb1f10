"""Reconciles runs: observes one, decides what it needs, executes that, and records the result."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from controller.kube import PIPELINE_RUNS, KubeClient
from controller.operator import names
from controller.operator.approval import is_awaiting_approval
from controller.operator.cache.resource_cache import ResourceCache
from controller.operator.cache.run_plan import RunPlan
from controller.operator.cache.run_state import RunState
from controller.operator.cache.timers import DeletionTimers
from controller.operator.decision import concurrency, finalizer
from controller.operator.decision.actions import (
    PrepareSecrets,
    ReadManifest,
    ReadWaiting,
    ReadWorkspace,
    VerifyJob,
    WithdrawJob,
)
from controller.operator.decision.decide import Decision, decide
from controller.operator.decision.observation import BlockingRun, PipelineVerdict
from controller.operator.decision.started_steps import find_settled_attempts, find_settled_steps
from controller.operator.effects.concurrency_lock import ConcurrencyLock
from controller.operator.effects.event_recorder import EventRecorder, audit_fields, record_transitions
from controller.operator.effects.executor import ActionExecutor
from controller.operator.effects.jobs.creation import JobCreateError
from controller.operator.effects.pipeline_resolver import PipelineResolver
from controller.operator.effects.queue_finder import QueueFinder
from controller.operator.effects.reuse_loader import ReuseLoader
from controller.operator.effects.run_inputs import RunInputs
from controller.operator.effects.run_numbering import RunNumbering
from controller.operator.effects.source_files import SourceFiles
from controller.operator.effects.status_writer import StatusWriter, WriteResult
from controller.operator.effects.step_durations import StepDurations
from controller.operator.interfaces import AttemptLogs, CloneTokens
from controller.operator.observe import ObservationBuilder
from controller.operator.plan_loader import PlanDeferredError, PlanLoader
from controller.operator.run_loader import RunLoader
from controller.operator.run_object import as_run, status_of
from controller.operator.settings import OperatorSettings
from controller.run_types.keys import AttemptKey, RunKey
from controller.run_types.phases import FINAL_RUN_PHASES
from controller.storage.base import ObjectStore

if TYPE_CHECKING:
    from controller.run_types.objects import ResourceUsage, RunObject

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_PLAN_RETRY_DELAY = timedelta(seconds=1)
_RESTORE_DELAY = timedelta(seconds=0.5)
_LARGE_RUN = 100
"""Steps."""
_READS = PrepareSecrets | ReadManifest | ReadWaiting | ReadWorkspace | VerifyJob | WithdrawJob
"""Actions whose results change the next decision."""


def _can_resolve(state: RunState) -> bool:
    """Whether the clone step of a run without a pipeline has succeeded, and its file was not read yet."""
    status = state.status.current
    return state.plan.is_unresolved and state.verdict is None and "source" in status


def _with_resolved_spec(run: RunObject, state: RunState) -> RunObject:
    """The run with the pipeline that was read from its repository, which the informer may not show yet."""
    if state.resolved is None or run["spec"].get("pipeline"):
        return run
    pipeline_fields = {name: state.resolved[name] for name in ("pipeline", "changedFiles") if name in state.resolved}
    return as_run({**run, "spec": {**run["spec"], **pipeline_fields}})


async def _yield_if_large(plan: RunPlan) -> None:
    """Of a large run each part takes long, and the rest of the process has its turn between them; others just wait."""
    if len(plan.steps) >= _LARGE_RUN:
        await asyncio.sleep(0)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Dependencies:
    """What a reconciler works with.

    Attributes:
        now: the wall clock, for times in a status.
        monotonic: seconds on a clock that nobody sets, for time limits.
        process: the identity of this process, which tells it from earlier ones.
        is_leader: whether no other operator can be at work.
        clone_tokens: gets tokens for cloning from forges.
    """

    client: KubeClient
    logs: AttemptLogs
    store: ObjectStore
    settings: OperatorSettings
    recorder: EventRecorder
    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    process: str = field(default_factory=lambda: secrets.token_hex(4))
    is_leader: Callable[[], bool] = lambda: True
    clone_tokens: CloneTokens | None = None
    usage: Callable[[str], Mapping[AttemptKey, ResourceUsage]] = lambda _: {}
    """Returns what the attempts of a run, by its uid, have used so far."""


@dataclass(frozen=True)
class Result:
    """When to reconcile a run again even if nothing changes: after so many seconds; None for never."""

    requeue_after: float | None = None


def _result(requeue_after: timedelta | None) -> Result:
    return Result() if requeue_after is None else Result(max(0.0, requeue_after.total_seconds()))


class Reconciler:
    """Reconciles runs one call at a time per run. The cache holds what is known of a run until it is done.

    Args:
        schedule_write: called with (key, seconds) to have `write` called then, because the run's status has changed.
        list_runs: returns all runs that are known.
        make_room: called when a pod lacks room in the cluster: those that wait at their gates are to be removed.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        cache: ResourceCache,
        schedule_write: Callable[[RunKey, float], None],
        list_runs: Callable[[], Iterable[RunObject]],
        make_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = dependencies.client
        self._logs = dependencies.logs
        self._recorder = dependencies.recorder
        self._settings = settings = dependencies.settings
        self._now = dependencies.now
        self._monotonic = dependencies.monotonic
        self._is_leader = dependencies.is_leader
        self._deletions = DeletionTimers()
        self._cache = cache
        self._list_runs = list_runs
        self._make_room = make_room
        self._queues = QueueFinder(self._client, settings.queue, self._monotonic)
        self._observations = ObservationBuilder(
            cache, dependencies.logs, dependencies.monotonic, settings, dependencies.usage
        )
        self._concurrency_lock = ConcurrencyLock(self._client, settings.own_namespace, self._now)
        retention = timedelta(seconds=settings.retention)
        plans, numbering = PlanLoader(), RunNumbering(self._client, list_runs, lambda: self._now().timestamp())
        self._resolver = PipelineResolver(self._client, dependencies.store, plans, numbering)
        self._executor = ActionExecutor(
            self._client, dependencies.store, settings, self._now, self._monotonic, dependencies.clone_tokens
        )
        self._inputs = RunInputs(
            SourceFiles(self._client, dependencies.store, self._now),
            ReuseLoader(
                self._client,
                dependencies.store,
                retention,
                self._now,
                list_runs,
                timedelta(seconds=settings.watch_retention),
            ),
            self._executor,
            self._recorder,
        )
        self._writer = StatusWriter(
            self._client,
            cache.states,
            cache.owned,
            settings,
            schedule_write,
            self._recorder,
            self._is_leader,
            self._monotonic,
        )
        self._loader = RunLoader(
            self._client, plans, numbering, self._writer, self._recorder, settings, dependencies.process, self._now
        )
        self.durations = StepDurations()

    async def reconcile(self, run: RunObject) -> Result:
        """Do what a run needs next.

        Raises:
            KubeError: a request failed; reconcile again.
        """
        key = names.run_key(run)
        state = self._cache.states.get(key)
        if state is not None and state.uid != run["metadata"]["uid"]:
            # Another run of the same name: what is known of the earlier one is not about this one.
            self._logs.forget(key.namespace, state.uid)
            self._cache.forget_state(key)
            state = None
        if not finalizer.is_deleted(run):
            return _result(await self._reconcile_active(key, run, state))
        left = finalizer.DELETION_TIMEOUT - self._deletions.elapsed(
            key,
            run["metadata"]["uid"],
            run["metadata"]["deletionTimestamp"],
            self._now(),
            self._monotonic(),
            watched=state is not None,
        )
        if await self._finalize_deletion(key, run, state, is_overdue=left <= timedelta(0)):
            return Result()
        requeue_after = await self._reconcile_active(key, finalizer.mark_cancelled(run), state)
        return _result(left if requeue_after is None else min(requeue_after, left))

    async def write(self, key: RunKey) -> WriteResult:
        """Write the status that was decided last, see `StatusWriter.write`. Raises KubeError: call again."""
        return await self._writer.write(key)

    def on_status_change(self, key: RunKey, old: RunObject, new: RunObject) -> bool:
        """Whether `write` has to be called because a run was changed, see `StatusWriter.on_status_change`."""
        return self._writer.on_status_change(key, old, new)

    def is_done(self, key: RunKey) -> bool:
        """Whether nothing is left to do for a run but to forget it."""
        return key in self._cache.states and self._cache.states[key].is_done

    def forget(self, key: RunKey) -> None:
        """The run is done, or was deleted."""
        state = self._cache.states.get(key)
        if state is not None:
            self._logs.forget(key.namespace, state.uid)
        self._deletions.forget(key)
        self._writer.forget(key)
        self._cache.forget(key)

    async def _reconcile_active(self, key: RunKey, run: RunObject, state: RunState | None) -> timedelta | None:
        """Do what a run needs that is not deleted; returns after what time to reconcile again."""
        if status_of(run).get("phase") in FINAL_RUN_PHASES:
            return await self._reconcile_terminal(key, run, state)
        if state is None and is_awaiting_approval(run, self._settings.agent_key, self._now()):
            return await self._loader.await_approval(key, run)
        if state is None:
            try:
                state = await self._loader.load(key, run)
            except PlanDeferredError:
                return _PLAN_RETRY_DELAY
            if state is not None:
                self._cache.add(key, state)
        if state is None or state.is_done:
            return None
        return await self._reconcile_until_stable(key, run, state)

    async def _reconcile_terminal(self, key: RunKey, run: RunObject, state: RunState | None) -> timedelta | None:
        if state is None:
            await self._executor.delete_left_jobs(run, self._cache.owned.jobs(key, run["metadata"]["uid"]))
            await self._writer.expire_jobs(key, run["metadata"]["uid"])
        elif state.status.current.get("phase") not in FINAL_RUN_PHASES:
            if state.status.versions and self._is_leader():
                # A client has set that status, and it is about to be written again as it was.
                return _RESTORE_DELAY
            # Another operator has ended it.
            self.forget(key)
        return None

    async def _reconcile_until_stable(self, key: RunKey, run: RunObject, state: RunState) -> timedelta | None:
        """Decide and act until no action has a result to decide on; returns after what time to reconcile again."""
        while True:
            run = _with_resolved_spec(run, state)
            await self._load_existing(key, run, state)
            observation = self._observations.build(key, run, state, await self._find_blocking_runs(run, state))
            await _yield_if_large(state.plan)
            known: RunObject = {**run, "status": state.status.current}
            plan = state.plan
            now = self._now()
            decision = decide(known, plan.pipeline, plan.steps, observation, now, self._settings)
            await _yield_if_large(plan)
            if any(early.lacks_room for early in observation.early.values()):
                self._cache.room.note_refusal(observation.monotonic)
            failures = await self._executor.execute(run, state, decision.actions)
            if any(isinstance(failure, JobCreateError) for failure in failures):
                # A step whose Job was not made, or may not be, must not count as started: decide again, knowing that.
                continue
            self._record_decision(key, run, state, decision)
            state.timers.observe(decision.status, now, observation.monotonic)
            state.observed.settled_steps = find_settled_steps(decision.status, observation)
            state.observed.settled_attempts = find_settled_attempts(decision.status, observation)
            if failures:
                raise failures[0]
            if _can_resolve(state):
                try:
                    await self._resolve(run, state)
                except PlanDeferredError:
                    return _PLAN_RETRY_DELAY
                continue
            if not any(isinstance(action, _READS) for action in decision.actions):
                # Relative to the decision: the wall clock may have been set since.
                return decision.requeue_at - now if decision.requeue_at is not None else None

    async def _resolve(self, run: RunObject, state: RunState) -> None:
        """Read the run's pipeline from what its clone step has stored: the run goes on with it, or ends."""
        found = await self._resolver.resolve(run, state.status.current)
        if isinstance(found, PipelineVerdict):
            state.verdict = found
            self._recorder.record(run, "Warning", found.reason, found.message)
        else:
            state.resolve(found.run, found.plan)

    async def _load_existing(self, key: RunKey, run: RunObject, state: RunState) -> None:
        """Load what was made by an earlier process, or by the run whose steps are reused."""
        if state.queue is None:
            state.queue = await self._queues.find(run, state.plan.pipeline)
        has_started = state.status.has_started or self._cache.owned.has_any(key, state.uid)
        if has_started and not state.secrets.ready:
            # No log may be followed before the secrets to mask in it are known.
            await self._executor.prepare_secrets(run, state)
        await self._inputs.load(run, state, has_started=has_started)

    async def _find_blocking_runs(self, run: RunObject, state: RunState) -> tuple[BlockingRun, ...]:
        """The runs of its concurrency group that it waits for; none once it holds the group's lock."""
        group = state.plan.group
        has_started = concurrency.has_started_steps(run, state.status.current.get("steps") or [])
        if group is None or state.holds_lock or has_started or run["spec"].get("cancel"):
            return ()
        known = concurrency.predecessors(run, group, self._list_runs())
        if known:
            return tuple(
                BlockingRun(
                    other["metadata"]["name"],
                    other["metadata"]["uid"],
                    created_before=concurrency.is_created_before(other, run),
                    cancel_requested=bool(other["spec"].get("cancel")),
                )
                for other in known
            )
        holder = await self._concurrency_lock.try_acquire(run, group)
        state.holds_lock = holder is None
        # The cache is stale: it will show that run, or its end, in a moment.
        if holder is None:
            return ()
        metadata = holder["metadata"]
        return (BlockingRun(metadata["name"], metadata["uid"], created_before=False, cancel_requested=False),)

    async def _finalize_deletion(
        self, key: RunKey, run: RunObject, state: RunState | None, *, is_overdue: bool
    ) -> bool:
        """Remove the finalizer of a deleted run once nothing of it runs any more; returns whether the run is gone."""
        status = status_of(run)
        has_started = (
            (state is not None and (state.status.has_started or bool(state.observed.unanswered)))
            or self._cache.owned.has_any(key, run["metadata"]["uid"])
            or any(step.get("attempts") for step in status.get("steps") or [])
        )
        if has_started and status.get("phase") not in FINAL_RUN_PHASES and not is_overdue:
            return False
        if finalizer.has_finalizer(run):
            await self._patch_finalizers(key, run, hold=False)
        return True

    async def _patch_finalizers(self, key: RunKey, run: RunObject, *, hold: bool) -> Json:
        patch = finalizer.finalizers_patch(run, hold=hold)
        return await self._client.patch(PIPELINE_RUNS, key.name, patch, namespace=key.namespace, patch_type="json")

    def _record_decision(self, key: RunKey, run: RunObject, state: RunState, decision: Decision) -> None:
        old, new = state.status.current, decision.status
        state.status.current = new
        if old == new:
            return
        if self._cache.room.note_run(key, new["steps"], self._monotonic()):
            self._make_room()
        record_transitions(self._recorder, run, old, new)
        self.durations.observe_transition(old, new)
        phase = new["phase"]
        if phase in FINAL_RUN_PHASES:
            _log.info("run %s/%s: %s, %s", *key, phase, new["message"], extra=audit_fields(run, phase, state.creator))
        at_once = state.status.written is None or phase in FINAL_RUN_PHASES or old.get("phase") != phase
        self._writer.schedule(key, 0 if at_once else self._writer.write_delay(state.status))
