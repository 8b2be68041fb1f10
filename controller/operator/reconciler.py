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
    NotFound,
)
from controller.operator import names
from controller.operator.cache.owned_resources import Belongings, Key, Place, key_of, place_of
from controller.operator.cache.run_state import InvalidRunError, RunState, read_run
from controller.operator.decision import concurrency, deletion
from controller.operator.decision.actions import FindJob, PrepareSecrets, ReadManifest, ReadWorkspace
from controller.operator.decision.capacity import never_fits
from controller.operator.decision.decide import RUN_FINAL, Decision, decide
from controller.operator.decision.observation import (
    Ahead,
    AttemptView,
    Milestones,
    Observed,
    milestones,
    pulls_own_image,
    started_containers,
)
from controller.operator.decision.run_status import invalid
from controller.operator.decision.settled_steps import settled
from controller.operator.effects.concurrency_lock import Turns
from controller.operator.effects.event_recorder import Recorder, audited, tell_changes, triggered
from controller.operator.effects.executor import Errands, NotStartedError
from controller.operator.effects.status_writer import Outcome, StatusWriter
from controller.operator.effects.step_durations import StepDurations
from controller.operator.interfaces import AttemptLogs, Manifests
from controller.operator.settings import OperatorSettings

Json = dict[str, Any]
_log = logging.getLogger(__name__)
_LONGEST_REFUSAL = 500


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
        store: Manifests,
        settings: OperatorSettings,
        recorder: Recorder,
        now: Callable[[], datetime],
        write_status: Callable[[Key, float], None],
        runs: Callable[[], Iterable[Json]],
    ) -> None:
        self._client = client
        self._logs = logs
        self._settings = settings
        self._recorder = recorder
        self._now = now
        self._runs = runs
        self._turns = Turns(client, settings.own_namespace, now)
        self._errands = Errands(client, store, settings, now)
        self._states: dict[Key, RunState] = {}
        self._belongings = Belongings()
        self._writer = StatusWriter(client, self._states, self._belongings, settings, write_status)
        self._held: dict[Key, str] = {}
        """Namespace and name of Jobs whose pods were refused -> what was said."""
        self.durations = StepDurations()
        self.runtime: Json | None = None
        self.nodes: tuple[Json, ...] = ()

    # -- what the informers tell

    def take_pod(self, pod: Json, *, gone: bool) -> Key | None:
        """Remember a pod of a step; returns the run it belongs to."""
        key = key_of(pod)
        if key is None:
            return None
        state = self._states.get(key)
        self._belongings.take_pod(key, pod, gone=gone, wanted=state is not None)
        if state is not None:
            uid = pod["metadata"]["uid"]
            state.unsettle(pod)
            state.milestones[uid] = milestones(pod, state.milestones.get(uid, Milestones()), self._now())
        return key

    def take_job(self, job: Json, *, gone: bool) -> Key | None:
        """Remember a Job of a step; returns the run it belongs to, if that is to be looked at."""
        key = key_of(job)
        if key is None:
            return None
        self._belongings.take_job(key, job, gone=gone)
        state = self._states.get(key)
        if state is not None:
            state.unsettle(job)
        if state is not None and gone:
            name, uid = job["metadata"]["name"], job["metadata"]["uid"]
            state.removed.add(uid)
            if name in state.created and state.created[name]["metadata"]["uid"] == uid:
                del state.created[name]
        # A Job's progress is told by its pod; only its end asks for a look, for it may have none.
        held = (key[0], job["metadata"]["name"]) in self._held
        return key if gone or held or (job.get("status") or {}).get("conditions") else None

    def take_refusal(self, event: Json, *, gone: bool) -> None:
        """Remember that the cluster would not make the pod of a Job, and why."""
        about = event.get("involvedObject") or {}
        job = (event["metadata"]["namespace"], str(about.get("name", "")))
        if gone:
            self._held.pop(job, None)
        elif about.get("kind") == "Job":
            self._held[job] = str(event.get("message", ""))[:_LONGEST_REFUSAL]

    def take_pull(self, event: Json) -> Key | None:
        """Remember when a pod's image began to be pulled; returns the run it belongs to."""
        found = self._belongings.pod_of(event.get("involvedObject") or {}) if pulls_own_image(event) else None
        if found is None or (state := self._states.get(found[0])) is None:
            return None
        key, uid = found[0], found[1]["metadata"]["uid"]
        known = state.milestones.get(uid, Milestones())
        if known.pulling is not None or known.running is not None:
            return None
        state.milestones[uid] = replace(known, pulling=self._now())
        return key

    def forget(self, key: Key) -> None:
        """The run is over, or gone."""
        self._states.pop(key, None)
        self._belongings.forget(key)
        self._logs.forget(*key)

    # -- one look

    async def look(self, run: Json) -> datetime | None:
        """Bring a run forward; returns when to look again without being told.

        Raises:
            KubeError: a request failed; the look is to be repeated.
        """
        key = (run["metadata"]["namespace"], run["metadata"]["name"])
        state = self._states.get(key)
        if state is not None and state.uid != run["metadata"]["uid"]:
            # Another run of the same name: what was kept of the earlier one is not its own.
            del self._states[key]
            self._logs.forget(*key)
            state = None
        if deletion.is_deleted(run):
            if await self._release(key, run, state):
                return None
            again = await self._bring_on(key, deletion.as_cancelled(run), state)
            return min(filter(None, (again, deletion.deadline(run))))
        return await self._bring_on(key, run, state)

    async def _bring_on(self, key: Key, run: Json, state: RunState | None) -> datetime | None:
        if (run.get("status") or {}).get("phase") in RUN_FINAL:
            await self._look_at_ended(key, run, state)
            return None
        if state is None:
            state = await self._begin(key, run)
        if state is None or state.over:
            return None
        return await self._bring_forward(key, run, state)

    async def _release(self, key: Key, run: Json, state: RunState | None) -> bool:
        """Let a run go that is being deleted, once nothing of it runs any more; returns whether it went."""
        status = run.get("status") or {}
        begun = (state is not None and state.begun) or self._belongings.any(key, run["metadata"]["uid"])
        begun = begun or any(step.get("attempts") for step in status.get("steps") or [])
        if begun and status.get("phase") not in RUN_FINAL and self._now() < deletion.deadline(run):
            return False
        if deletion.is_held(run):
            patch = deletion.finalizers_patch(run, hold=False)
            await self._client.patch(PIPELINE_RUNS, key[1], patch, namespace=key[0], patch_type="json")
        return True

    async def _look_at_ended(self, key: Key, run: Json, state: RunState | None) -> None:
        if state is None:
            await self._writer.expire_jobs(key, run["metadata"]["uid"])
        elif state.status.get("phase") not in RUN_FINAL:
            # Another controller has ended it, on what it knew.
            self.forget(key)

    async def _bring_forward(self, key: Key, run: Json, state: RunState) -> datetime | None:
        while True:
            if not state.prepared and (state.begun or self._belongings.any(key, state.uid)):
                # Taken over from an earlier process. No log may be followed before its secrets are known.
                await self._errands.prepare(run, state)
            if state.earlier is None and run["spec"].get("reuseFrom"):
                state.earlier = await self._errands.earlier(run)
            observed = self._observe(key, run, state, await self._ahead(run, state))
            known = {**run, "status": state.status}
            decision = decide(known, state.pipeline, state.steps, observed, self._now(), self._settings)
            failures = await self._errands.run(run, state, decision.actions)
            if any(isinstance(failure, NotStartedError) for failure in failures):
                # Decided again with what is known now: a step must not count as begun that has no Job.
                continue
            self._remember(key, run, state, decision)
            state.settled = settled(decision.status, observed)
            if failures:
                raise failures[0]
            asked = PrepareSecrets | ReadManifest | ReadWorkspace | FindJob
            if not any(isinstance(action, asked) for action in decision.actions):
                return decision.look_again

    async def _begin(self, key: Key, run: Json) -> RunState | None:
        """Read a run for the first time; one that can't be run gets its last status at once."""
        try:
            if not run["spec"].get("pipeline"):
                await self._fill_pipeline(run)
                return None
            if not deletion.is_held(run) and not deletion.is_deleted(run):
                patch = deletion.finalizers_patch(run, hold=True)
                run = await self._client.patch(PIPELINE_RUNS, key[1], patch, namespace=key[0], patch_type="json")
            state = read_run(run, self._now())
        except InvalidRunError as error:
            status = invalid(run, str(error), self._now())
            await self._writer.put(key, status, run["metadata"]["resourceVersion"])
            self._recorder.record(run, "Warning", "InvalidPipeline", str(error))
            return None
        for pod in self._belongings.pods(key, state.uid).values():
            state.milestones[pod["metadata"]["uid"]] = milestones(pod, Milestones(), self._now())
        self._states[key] = state
        if not state.stored.get("phase"):
            _log.info("run %s/%s is accepted, %s", *key, triggered(run), extra=audited(run, "Accepted"))
        return state

    async def _fill_pipeline(self, run: Json) -> None:
        """Copy the definition that `pipelineConfigRef` names into the run, where it stays as it is now."""
        namespace, name = run["metadata"]["namespace"], run["metadata"]["name"]
        reference = (run["spec"].get("pipelineConfigRef") or {}).get("name")
        if not reference:
            raise InvalidRunError("the run has neither a pipeline nor a pipelineConfigRef")
        try:
            config = await self._client.get(PIPELINE_CONFIGS, reference, namespace)
        except NotFound:
            raise InvalidRunError(f"there is no PipelineConfig {reference} in namespace {namespace}") from None
        definition = {"name": reference, **config["spec"]}
        try:
            await self._client.patch(PIPELINE_RUNS, name, {"spec": {"pipeline": definition}}, namespace=namespace)
        except ApiError as error:
            if error.status == 422:
                raise InvalidRunError(f"the pipeline of PipelineConfig {reference} is not valid: {error}") from error
            raise

    async def _ahead(self, run: Json, state: RunState) -> tuple[Ahead, ...]:
        """The runs of its concurrency group that it waits for; none once it has its turn."""
        if state.group is None or state.has_turn or state.begun or run["spec"].get("cancel"):
            return ()
        known = {other["metadata"]["name"]: other for other in concurrency.before(run, state.group, self._runs())}
        if not known:
            holder = await self._turns.take(run, state.group)
            state.has_turn = holder is None
            if holder is not None:
                # The picture of the cluster is a little old: it will show that run, or its end, in a moment.
                return (Ahead(holder, earlier=False, cancelled=False),)
        return tuple(
            Ahead(name, concurrency.is_earlier(other, run), bool(other["spec"].get("cancel")))
            for name, other in known.items()
        )

    def _observe(self, key: Key, run: Json, state: RunState, ahead: tuple[Ahead, ...]) -> Observed:
        pods = self._belongings.pods(key, state.uid)
        found = {**state.created, **self._belongings.jobs(key, state.uid)}
        by_slug = {step.slug: step for step in state.steps}
        places = {place: name for name, job in found.items() if (place := place_of(job)) is not None}
        places |= {place: names.job_name(key[1], *place) for place in pods}
        for entry in state.status.get("steps") or []:
            places |= {(entry["slug"], each["number"]): each["jobName"] for each in entry.get("attempts") or []}
        views = {}
        for place, job_name in places.items():
            pod, step = pods.get(place), by_slug.get(place[0])
            if step is None or step.slug in state.settled:
                continue
            if pod is not None and state.prepared:
                self._follow_logs(key, state, step, place[1], pod)
            views[place] = self._view(key, state, place, found.get(job_name), pod, job_name)
        return Observed(
            views,
            state.refused,
            state.missing_secrets,
            state.prepared,
            state.not_ready_because,
            never_fits={s.name: why for s in state.steps if (why := never_fits(s.step, self.nodes)) is not None},
            inputs=(made_of := state.inputs(run["spec"])),
            reusable={n: taken for n, d in made_of.items() if (taken := (state.earlier or {}).get(d)) is not None},
            noted=frozenset(e["name"] for e in state.stored.get("steps") or [] if e.get("reused")),
            source_step=state.source_step,
            source_noted=bool(state.stored.get("source")),
            group=state.group,
            ahead=ahead,
            since=state.since,
            runtime=self.runtime,
            settled=state.settled,
        )

    def _view(
        self, key: Key, state: RunState, place: Place, job: Json | None, pod: Json | None, job_name: str
    ) -> AttemptView:
        checked = place in state.manifests
        if pod is None:
            manifest = state.manifests.get(place)
            held = self._held.get((key[0], job_name), "") if job is not None else ""
            gone = job_name in state.missing
            return AttemptView(job=job, manifest=manifest, manifest_read=checked, gone=gone, held=held)
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

    def _follow_logs(self, key: Key, state: RunState, step: Any, attempt: int, pod: Json) -> None:
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

    def _remember(self, key: Key, run: Json, state: RunState, decision: Decision) -> None:
        old, state.status = state.status, decision.status
        if old == decision.status:
            return
        tell_changes(self._recorder, run, old, decision.status)
        self.durations.changed(old, decision.status)
        phase = decision.status["phase"]
        at_once = state.written is None or phase in RUN_FINAL or old.get("phase") != phase
        if phase in RUN_FINAL:
            _log.info("run %s/%s: %s, %s", *key, phase, decision.status["message"], extra=audited(run, phase))
        self._writer.ask(key, 0 if at_once else self._writer.pause(decision.status))

    async def write(self, key: Key) -> Outcome:
        """Write what was decided last (`StatusWriter.write`). Raises KubeError: call again."""
        return await self._writer.write(key)

    def is_over(self, key: Key) -> bool:
        """Whether nothing is left to be done for a run but to forget it."""
        return key in self._states and self._states[key].over
