"""Carries out what `decide` says for one run: looks, decides, acts, remembers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from controller.kube import (
    JOBS,
    PIPELINE_CONFIGS,
    PIPELINE_RUNS,
    PODS,
    AlreadyExists,
    ApiError,
    KubeClient,
    KubeError,
    NotFound,
)
from controller.operator import jobs, names, secrets
from controller.operator.decide import (
    RUN_FINAL,
    Action,
    Decision,
    PrepareSecrets,
    ReadManifest,
    StartAttempt,
    StopPod,
    decide,
    uses_agents,
)
from controller.operator.events import Recorder, tell_changes
from controller.operator.observed import AttemptView, Milestones, Observed, is_over, milestones, started_containers
from controller.operator.ports import AttemptLogs, Manifests
from controller.operator.runs import InvalidRunError, RunState, read_run
from controller.operator.settings import OperatorSettings
from controller.operator.summary import invalid

Json = dict[str, Any]
Key = tuple[str, str]
_log = logging.getLogger(__name__)


class Reconciler:
    """Works on runs, one call a look. Holds what was learnt of each run until the run is over.

    Args:
        now: the wall clock, for times in a status.
        write_status: called with (key, at once?) when a run's status has changed.
    """

    def __init__(
        self,
        client: KubeClient,
        logs: AttemptLogs,
        store: Manifests,
        settings: OperatorSettings,
        recorder: Recorder,
        now: Callable[[], datetime],
        write_status: Callable[[Key, bool], None],
    ) -> None:
        self._client = client
        self._logs = logs
        self._store = store
        self._settings = settings
        self._recorder = recorder
        self._now = now
        self._write_status = write_status
        self._states: dict[Key, RunState] = {}
        self._pods: dict[Key, dict[tuple[str, int], Json]] = {}
        self._jobs: dict[Key, dict[str, Json]] = {}
        self.runtime: Json | None = None

    # -- what the informers tell

    def take_pod(self, pod: Json, *, gone: bool) -> Key | None:
        """Remember a pod of a step; returns the run it belongs to."""
        labels = pod["metadata"].get("labels") or {}
        if names.RUN not in labels or not labels.get(names.ATTEMPT, "").isdigit():
            return None
        key = (pod["metadata"]["namespace"], labels[names.RUN])
        place = (labels.get(names.STEP, ""), int(labels[names.ATTEMPT]))
        known = self._pods.setdefault(key, {})
        if not gone:
            known[place] = pod
        elif place in known and not is_over(known[place]):
            # Deleted while it ran: what was seen last is kept, as an ending.
            known[place] = _ended_by_deletion(pod)
        state = self._states.get(key)
        if state is not None:
            uid = pod["metadata"]["uid"]
            state.milestones[uid] = milestones(pod, state.milestones.get(uid, Milestones()), self._now())
        return key

    def take_job(self, job: Json, *, gone: bool) -> Key | None:
        labels = job["metadata"].get("labels") or {}
        if names.RUN not in labels:
            return None
        key = (job["metadata"]["namespace"], labels[names.RUN])
        name = job["metadata"]["name"]
        if gone:
            self._jobs.get(key, {}).pop(name, None)
            if key in self._states:
                self._states[key].created.pop(name, None)
        else:
            self._jobs.setdefault(key, {})[name] = job
        return key

    def status_to_write(self, key: Key) -> Json | None:
        """The status that the API server does not have yet."""
        state = self._states.get(key)
        return state.status if state is not None and state.status != state.written else None

    def written(self, key: Key, status: Json) -> None:
        if key in self._states:
            self._states[key].written = status

    def forget(self, key: Key) -> None:
        for known in (self._states, self._pods, self._jobs):
            known.pop(key, None)
        self._logs.forget(*key)

    # -- one look

    async def look(self, run: Json) -> datetime | None:
        """Bring a run forward; returns when to look again without being told.

        Raises:
            KubeError: a request failed; the look is to be repeated.
        """
        key = (run["metadata"]["namespace"], run["metadata"]["name"])
        if (run.get("status") or {}).get("phase") in RUN_FINAL:
            return None
        state = self._states.get(key)
        if state is None or state.uid != run["metadata"]["uid"]:
            state = await self._begin(key, run)
            if state is None:
                return None
        while True:
            observed = self._observe(key, state)
            known = {**run, "status": state.status}
            decision = decide(known, state.pipeline, state.steps, observed, self._now(), self._settings)
            await self._act(run, state, decision.actions)
            self._remember(key, run, state, decision)
            if not any(isinstance(action, PrepareSecrets | ReadManifest) for action in decision.actions):
                return decision.look_again

    async def _begin(self, key: Key, run: Json) -> RunState | None:
        """Read a run for the first time; one that can't be run gets its last status at once."""
        try:
            if not run["spec"].get("pipeline"):
                await self._fill_pipeline(run)
                return None
            state = read_run(run)
        except InvalidRunError as error:
            status = invalid(run, str(error), self._now())
            await self.put_status(run, status)
            self._recorder.record(run, "Warning", "InvalidPipeline", str(error))
            return None
        now = self._now()
        for pod in self._pods.get(key, {}).values():
            state.milestones[pod["metadata"]["uid"]] = milestones(pod, Milestones(), now)
        self._states[key] = state
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
        await self._client.patch(PIPELINE_RUNS, name, {"spec": {"pipeline": definition}}, namespace=namespace)

    def _observe(self, key: Key, state: RunState) -> Observed:
        views = {}
        pods, known_jobs = self._pods.get(key, {}), {**state.created, **self._jobs.get(key, {})}
        by_slug = {step.slug: step for step in state.steps}
        for entry in state.status.get("steps") or []:
            for attempt in entry.get("attempts") or []:
                place = (entry["slug"], attempt["number"])
                pod = pods.get(place)
                if pod is not None:
                    self._follow_logs(key, state, by_slug[entry["slug"]], attempt["number"], pod)
                views[place] = self._view(key, state, place, known_jobs.get(attempt["jobName"]), pod)
        return Observed(views, state.missing_secrets, state.prepared, self.runtime)

    def _view(
        self, key: Key, state: RunState, place: tuple[str, int], job: Json | None, pod: Json | None
    ) -> AttemptView:
        if pod is None:
            return AttemptView(job=job)
        where = {"namespace": key[0], "run": key[1], "slug": place[0], "attempt": place[1]}
        containers = started_containers(pod)
        results = {name: self._logs.result(**where, container=name) for name in containers}  # type: ignore[arg-type]
        return AttemptView(
            job,
            pod,
            state.milestones.get(pod["metadata"]["uid"], Milestones()),
            state.manifests.get(place),
            place in state.manifests,
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

    # -- acting

    async def _act(self, run: Json, state: RunState, actions: tuple[Action, ...]) -> None:
        """All at once: none of them waits for another."""
        try:
            async with asyncio.TaskGroup() as group:
                for action in actions:
                    group.create_task(self._act_once(run, state, action))
        except* KubeError as failures:
            raise failures.exceptions[0] from None

    async def _act_once(self, run: Json, state: RunState, action: Action) -> None:
        if isinstance(action, StartAttempt):
            await self._start(run, state, action)
        elif isinstance(action, StopPod):
            await self._stop(action)
        elif isinstance(action, ReadManifest):
            await self._read_manifest(run, state, action)
        else:
            await self._prepare(run, state)

    async def _start(self, run: Json, state: RunState, action: StartAttempt) -> None:
        plan = jobs.StepPlan(
            run, state.pipeline, action.step, action.number, state.facts, state.upstream[action.step.name]
        )
        job = jobs.build(plan, self._settings)
        name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
        try:
            created = await self._client.create(JOBS, job, namespace)
        except AlreadyExists:
            created = await self._client.get(JOBS, name, namespace)
            owners = created["metadata"].get("ownerReferences") or []
            if not any(owner.get("uid") == run["metadata"]["uid"] for owner in owners):
                raise ApiError(
                    f"the Job {namespace}/{name} belongs to somebody else; waiting until it is gone", status=409
                ) from None
        state.created[name] = created

    async def _stop(self, action: StopPod) -> None:
        patch = {"spec": {"activeDeadlineSeconds": 1}}
        try:
            await self._client.patch(PODS, action.name, patch, namespace=action.namespace, patch_type="strategic")
        except NotFound:
            _log.info("pod %s/%s is gone already", action.namespace, action.name)

    async def _read_manifest(self, run: Json, state: RunState, action: ReadManifest) -> None:
        key = names.manifest_key(run["metadata"]["namespace"], run["metadata"]["name"], action.slug, action.number)
        found = None
        if await self._store.head(key) is not None:
            found = json.loads(await self._store.get(key))
        state.manifests[action.slug, action.number] = found

    async def _prepare(self, run: Json, state: RunState) -> None:
        state.secret_values = await secrets.copy_values(self._client, run, state.steps)
        state.missing_secrets = secrets.missing(state.steps, state.secret_values)
        if uses_agents(state.steps, run):
            await secrets.give_token(self._client, run, self._settings, self._now().timestamp())
        state.prepared = True

    def _remember(self, key: Key, run: Json, state: RunState, decision: Decision) -> None:
        old, state.status = state.status, decision.status
        if old == decision.status:
            return
        tell_changes(self._recorder, run, old, decision.status)
        phase = decision.status["phase"]
        at_once = state.written is None or phase in RUN_FINAL or old.get("phase") != phase
        if phase in RUN_FINAL:
            _log.info(
                "run %s/%s: %s, %s", *key, phase, decision.status["message"], extra={"run": key[1], "namespace": key[0]}
            )
        self._write_status(key, at_once)

    async def put_status(self, run: Mapping[str, Any], status: Json) -> None:
        """Replace the run's status as a whole."""
        metadata = run["metadata"]
        await self._client.patch(
            PIPELINE_RUNS,
            metadata["name"],
            [{"op": "add", "path": "/status", "value": status}],
            namespace=metadata["namespace"],
            subresource="status",
            patch_type="json",
        )

    async def expire_jobs(self, run: Mapping[str, Any]) -> None:
        """After the end: let the cluster remove the run's Jobs in time. Their logs and artifacts are stored."""
        key = (run["metadata"]["namespace"], run["metadata"]["name"])
        patch = {"spec": {"ttlSecondsAfterFinished": self._settings.job_ttl}}
        for name, job in list(self._jobs.get(key, {}).items()):
            if job["spec"].get("ttlSecondsAfterFinished") is None:
                try:
                    await self._client.patch(JOBS, name, patch, namespace=key[0])
                except NotFound:
                    continue


def _ended_by_deletion(pod: Json) -> Json:
    status = {**(pod.get("status") or {}), "phase": "Failed", "reason": "Terminated", "message": "its pod was deleted"}
    return {**pod, "status": status}
