"""Carries out what `decide` says for one run: looks, decides, acts, remembers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from controller.kube import (
    PIPELINE_CONFIGS,
    PIPELINE_RUNS,
    ApiError,
    KubeClient,
    NotFoundError,
)
from controller.operator import names
from controller.operator.cache.owned_resources import OwnedResources, attempt_key_of, run_key_of
from controller.operator.cache.run_state import InvalidRunError, RunState, load_run_state
from controller.operator.decision import concurrency, deletion
from controller.operator.decision.actions import PrepareSecrets, ReadManifest, ReadWorkspace, VerifyJob
from controller.operator.decision.capacity import unschedulable_reason
from controller.operator.decision.decide import Decision, decide
from controller.operator.decision.observation import (
    AttemptView,
    BlockingRun,
    Milestones,
    Observation,
    is_step_image_pull,
    started_containers,
    update_milestones,
)
from controller.operator.decision.run_status import invalid_status
from controller.operator.decision.settled_steps import find_settled_steps
from controller.operator.effects.concurrency_lock import ConcurrencyLock
from controller.operator.effects.event_recorder import EventRecorder, audit_fields, describe_trigger, record_transitions
from controller.operator.effects.executor import ActionExecutor, JobCreateError
from controller.operator.effects.status_writer import StatusWriter, WriteResult
from controller.operator.effects.step_durations import StepDurations
from controller.operator.interfaces import AttemptLogs, ManifestReader
from controller.operator.settings import OperatorSettings
from controller.run_types.keys import AttemptKey, RunKey
from controller.run_types.phases import FINAL_RUN_PHASES
from controller.run_types.reasons import RunReason

Json = dict[str, Any]
_log = logging.getLogger(__name__)
_MAX_MESSAGE_LENGTH = 500


class Reconciler:
    """Works on runs, one call a look. Holds what was learnt of each run until the run is over.

    Args:
        now: the wall clock, for times in a status.
        write_status: called with (key, seconds) when a run's status has changed and is to be written then.
        runs: all runs that are known.
    """

    def __init__(
        self,
        client: KubeClient,
        logs: AttemptLogs,
        store: ManifestReader,
        settings: OperatorSettings,
        recorder: EventRecorder,
        now: Callable[[], datetime],
        schedule_write: Callable[[RunKey, float], None],
        runs: Callable[[], Iterable[Json]],
    ) -> None:
        self._client = client
        self._logs = logs
        self._settings = settings
        self._recorder = recorder
        self._now = now
        self._runs = runs
        self._concurrency_lock = ConcurrencyLock(client, settings.own_namespace, now)
        self._executor = ActionExecutor(client, store, settings, now)
        self._states: dict[RunKey, RunState] = {}
        self._owned = OwnedResources()
        self._writer = StatusWriter(client, self._states, self._owned, settings, schedule_write)
        self._pod_create_errors: dict[tuple[str, str], str] = {}
        """Namespace and name of Jobs whose pods were refused -> what was said."""
        self.durations = StepDurations()
        self.runtime: Json | None = None
        self.nodes: tuple[Json, ...] = ()

    # -- what the informers tell

    def on_pod(self, pod: Json, *, deleted: bool) -> RunKey | None:
        """Remember a pod of a step; returns the run it belongs to."""
        key = run_key_of(pod)
        if key is None:
            return None
        state = self._states.get(key)
        self._owned.update_pod(key, pod, deleted=deleted, keep_ended=state is not None)
        if state is not None:
            uid = pod["metadata"]["uid"]
            state.invalidate(pod)
            state.milestones[uid] = update_milestones(pod, state.milestones.get(uid, Milestones()), self._now())
        return key

    def on_job(self, job: Json, *, deleted: bool) -> RunKey | None:
        """Remember a Job of a step; returns the run it belongs to, if that is to be looked at."""
        key = run_key_of(job)
        if key is None:
            return None
        self._owned.update_job(key, job, deleted=deleted)
        state = self._states.get(key)
        if state is not None:
            state.invalidate(job)
        if state is not None and deleted:
            name, uid = job["metadata"]["name"], job["metadata"]["uid"]
            state.deleted_job_uids.add(uid)
            if name in state.created_jobs and state.created_jobs[name]["metadata"]["uid"] == uid:
                del state.created_jobs[name]
        # A Job's progress is told by its pod; only its end asks for a look, for it may have none.
        held = (key[0], job["metadata"]["name"]) in self._pod_create_errors
        return key if deleted or held or (job.get("status") or {}).get("conditions") else None

    def on_create_failed(self, event: Json, *, deleted: bool) -> None:
        """Remember that the cluster would not make the pod of a Job, and why."""
        about = event.get("involvedObject") or {}
        job = (event["metadata"]["namespace"], str(about.get("name", "")))
        if deleted:
            self._pod_create_errors.pop(job, None)
        elif about.get("kind") == "Job":
            self._pod_create_errors[job] = str(event.get("message", ""))[:_MAX_MESSAGE_LENGTH]

    def on_image_pull(self, event: Json) -> RunKey | None:
        """Remember when a pod's image began to be pulled; returns the run it belongs to."""
        found = self._owned.find_pod(event.get("involvedObject") or {}) if is_step_image_pull(event) else None
        if found is None or (state := self._states.get(found[0])) is None:
            return None
        key, uid = found[0], found[1]["metadata"]["uid"]
        known = state.milestones.get(uid, Milestones())
        if known.pulling is not None or known.running is not None:
            return None
        state.milestones[uid] = replace(known, pulling=self._now())
        return key

    def forget(self, key: RunKey) -> None:
        """The run is over, or gone."""
        self._states.pop(key, None)
        self._owned.forget(key)
        self._logs.forget(*key)

    # -- one look

    async def reconcile(self, run: Json) -> datetime | None:
        """Bring a run forward; returns when to look again without being told.

        Raises:
            KubeError: a request failed; the look is to be repeated.
        """
        key = names.run_key(run)
        state = self._states.get(key)
        if state is not None and state.uid != run["metadata"]["uid"]:
            # Another run of the same name: what was kept of the earlier one is not its own.
            del self._states[key]
            self._logs.forget(*key)
            state = None
        if deletion.is_deleted(run):
            if await self._finalize_deletion(key, run, state):
                return None
            again = await self._reconcile_active(key, deletion.mark_cancelled(run), state)
            return min(filter(None, (again, deletion.deadline(run))))
        return await self._reconcile_active(key, run, state)

    async def _reconcile_active(self, key: RunKey, run: Json, state: RunState | None) -> datetime | None:
        if (run.get("status") or {}).get("phase") in FINAL_RUN_PHASES:
            await self._reconcile_terminal(key, run, state)
            return None
        if state is None:
            state = await self._initialize(key, run)
        if state is None or state.is_done:
            return None
        return await self._reconcile_until_stable(key, run, state)

    async def _finalize_deletion(self, key: RunKey, run: Json, state: RunState | None) -> bool:
        """Let a run go that is being deleted, once nothing of it runs any more; returns whether it went."""
        status = run.get("status") or {}
        begun = (state is not None and state.has_started) or self._owned.has_any(key, run["metadata"]["uid"])
        begun = begun or any(step.get("attempts") for step in status.get("steps") or [])
        if begun and status.get("phase") not in FINAL_RUN_PHASES and self._now() < deletion.deadline(run):
            return False
        if deletion.has_finalizer(run):
            patch = deletion.finalizers_patch(run, hold=False)
            await self._client.patch(PIPELINE_RUNS, key[1], patch, namespace=key[0], patch_type="json")
        return True

    async def _reconcile_terminal(self, key: RunKey, run: Json, state: RunState | None) -> None:
        if state is None:
            await self._writer.expire_jobs(key, run["metadata"]["uid"])
        elif state.status.get("phase") not in FINAL_RUN_PHASES:
            # Another controller has ended it, on what it knew.
            self.forget(key)

    async def _reconcile_until_stable(self, key: RunKey, run: Json, state: RunState) -> datetime | None:
        while True:
            if not state.secrets_ready and (state.has_started or self._owned.has_any(key, state.uid)):
                # Taken over from an earlier process. No log may be followed before its secrets are known.
                await self._executor.prepare_secrets(run, state)
            if state.reusable is None and run["spec"].get("reuseFrom"):
                state.reusable = await self._executor.load_reusable_steps(run)
            observed = self._observe(key, run, state, await self._find_blocking_runs(run, state))
            known = {**run, "status": state.status}
            decision = decide(known, state.pipeline, state.steps, observed, self._now(), self._settings)
            failures = await self._executor.execute(run, state, decision.actions)
            if any(isinstance(failure, JobCreateError) for failure in failures):
                # Decided again with what is known now: a step must not count as begun that has no Job.
                continue
            self._record_decision(key, run, state, decision)
            state.settled_steps = find_settled_steps(decision.status, observed)
            if failures:
                raise failures[0]
            asked = PrepareSecrets | ReadManifest | ReadWorkspace | VerifyJob
            if not any(isinstance(action, asked) for action in decision.actions):
                return decision.requeue_at

    async def _initialize(self, key: RunKey, run: Json) -> RunState | None:
        """Read a run for the first time; one that can't be run gets its last status at once."""
        try:
            if not run["spec"].get("pipeline"):
                await self._copy_pipeline_config(run)
                return None
            if not deletion.has_finalizer(run) and not deletion.is_deleted(run):
                patch = deletion.finalizers_patch(run, hold=True)
                run = await self._client.patch(PIPELINE_RUNS, key[1], patch, namespace=key[0], patch_type="json")
            state = load_run_state(run, self._now())
        except InvalidRunError as error:
            status = invalid_status(run, str(error), self._now())
            await self._writer.write_now(key, status, run["metadata"]["resourceVersion"])
            self._recorder.record(run, "Warning", RunReason.INVALID_PIPELINE, str(error))
            return None
        for pod in self._owned.pods(key, state.uid).values():
            state.milestones[pod["metadata"]["uid"]] = update_milestones(pod, Milestones(), self._now())
        self._states[key] = state
        if not state.server_status.get("phase"):
            _log.info("run %s/%s is accepted, %s", *key, describe_trigger(run), extra=audit_fields(run, "Accepted"))
        return state

    async def _copy_pipeline_config(self, run: Json) -> None:
        """Copy the definition that `pipelineConfigRef` names into the run, where it stays as it is now."""
        namespace, name = run["metadata"]["namespace"], run["metadata"]["name"]
        reference = (run["spec"].get("pipelineConfigRef") or {}).get("name")
        if not reference:
            raise InvalidRunError("the run has neither a pipeline nor a pipelineConfigRef")
        try:
            config = await self._client.get(PIPELINE_CONFIGS, reference, namespace)
        except NotFoundError:
            raise InvalidRunError(f"there is no PipelineConfig {reference} in namespace {namespace}") from None
        definition = {"name": reference, **config["spec"]}
        try:
            await self._client.patch(PIPELINE_RUNS, name, {"spec": {"pipeline": definition}}, namespace=namespace)
        except ApiError as error:
            if error.status == 422:
                raise InvalidRunError(f"the pipeline of PipelineConfig {reference} is not valid: {error}") from error
            raise

    async def _find_blocking_runs(self, run: Json, state: RunState) -> tuple[BlockingRun, ...]:
        """The runs of its concurrency group that it waits for; none once it has its turn."""
        if state.group is None or state.holds_lock or state.has_started or run["spec"].get("cancel"):
            return ()
        known = {other["metadata"]["name"]: other for other in concurrency.predecessors(run, state.group, self._runs())}
        if not known:
            holder = await self._concurrency_lock.try_acquire(run, state.group)
            state.holds_lock = holder is None
            if holder is not None:
                # The picture of the cluster is a little old: it will show that run, or its end, in a moment.
                return (BlockingRun(holder, created_before=False, cancel_requested=False),)
        return tuple(
            BlockingRun(name, concurrency.is_created_before(other, run), bool(other["spec"].get("cancel")))
            for name, other in known.items()
        )

    def _observe(self, key: RunKey, run: Json, state: RunState, ahead: tuple[BlockingRun, ...]) -> Observation:
        pods = self._owned.pods(key, state.uid)
        found = {**state.created_jobs, **self._owned.jobs(key, state.uid)}
        by_slug = {step.slug: step for step in state.steps}
        places = {place: name for name, job in found.items() if (place := attempt_key_of(job)) is not None}
        places |= {place: names.job_name(key[1], *place) for place in pods}
        for entry in state.status.get("steps") or []:
            places |= {(entry["slug"], each["number"]): each["jobName"] for each in entry.get("attempts") or []}
        views = {}
        for place, job_name in places.items():
            pod, step = pods.get(place), by_slug.get(place[0])
            if step is None or step.slug in state.settled_steps:
                continue
            if pod is not None and state.secrets_ready:
                self._follow_logs(key, state, step, place[1], pod)
            views[place] = self._attempt_view(key, state, place, found.get(job_name), pod, job_name)
        return Observation(
            views,
            state.create_failures,
            state.missing_secrets,
            state.secrets_ready,
            state.prepare_error,
            unschedulable={
                s.name: why for s in state.steps if (why := unschedulable_reason(s.step, self.nodes)) is not None
            },
            inputs=(made_of := state.input_digests(run["spec"])),
            reusable={n: taken for n, d in made_of.items() if (taken := (state.reusable or {}).get(d)) is not None},
            recorded_reuse=frozenset(e["name"] for e in state.server_status.get("steps") or [] if e.get("reused")),
            source_step=state.source_step,
            source_recorded=bool(state.server_status.get("source")),
            group=state.group,
            blocking_runs=ahead,
            first_seen=state.first_seen,
            runtime=self.runtime,
            settled_steps=state.settled_steps,
        )

    def _attempt_view(
        self, key: RunKey, state: RunState, place: AttemptKey, job: Json | None, pod: Json | None, job_name: str
    ) -> AttemptView:
        checked = place in state.manifests
        if pod is None:
            manifest = state.manifests.get(place)
            held = self._pod_create_errors.get((key[0], job_name), "") if job is not None else ""
            gone = job_name in state.missing_jobs
            return AttemptView(
                job=job, manifest=manifest, manifest_read=checked, job_missing=gone, pod_create_error=held
            )
        where = {"namespace": key[0], "run": key[1], "slug": place[0], "attempt": place[1]}
        containers = started_containers(pod)
        results = {name: self._logs.result(**where, container=name) for name in containers}  # type: ignore[arg-type]
        return AttemptView(
            job,
            pod,
            state.milestones.get(pod["metadata"]["uid"], Milestones()),
            state.manifests.get(place),
            checked,
            state.workspaces.get(place),
            place in state.workspaces,
            results.get(names.STEP_CONTAINER),
            tuple(name for name, result in results.items() if result is None),
        )

    def _follow_logs(self, key: RunKey, state: RunState, step: Any, attempt: int, pod: Json) -> None:
        used = [state.secret_values.get(names.secret_key(use)) for use in step.step.secrets]
        for container in started_containers(pod):
            self._logs.follow(
                namespace=key[0],
                run=key[1],
                slug=step.slug,
                attempt=attempt,
                container=container,
                pod=pod["metadata"]["name"],
                secrets=[value for value in used if value],
            )

    # -- what comes of it

    def _record_decision(self, key: RunKey, run: Json, state: RunState, decision: Decision) -> None:
        old, state.status = state.status, decision.status
        if old == decision.status:
            return
        record_transitions(self._recorder, run, old, decision.status)
        self.durations.observe_transition(old, decision.status)
        phase = decision.status["phase"]
        at_once = state.written_status is None or phase in FINAL_RUN_PHASES or old.get("phase") != phase
        if phase in FINAL_RUN_PHASES:
            _log.info("run %s/%s: %s, %s", *key, phase, decision.status["message"], extra=audit_fields(run, phase))
        self._writer.ask(key, 0 if at_once else self._writer.write_delay(decision.status))

    async def write(self, key: RunKey) -> WriteResult:
        """Write what was decided last (`StatusWriter.write`). Raises KubeError: call again."""
        return await self._writer.write(key)

    def is_done(self, key: RunKey) -> bool:
        """Whether nothing is left to be done for a run but to forget it."""
        return key in self._states and self._states[key].is_done
