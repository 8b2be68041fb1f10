"""Carries out the actions of a decision: one request or two each, against the cluster and the store."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from controller.kube import (
    JOBS,
    PIPELINE_RUNS,
    PODS,
    SECRETS,
    AlreadyExistsError,
    ApiError,
    ConflictError,
    KubeClient,
    KubeError,
    NotFoundError,
)
from controller.operator import names
from controller.operator.cache.owned_resources import attempt_key_of, is_owned
from controller.operator.cache.run_state import RunState
from controller.operator.decision.actions import (
    Action,
    CancelRun,
    DeleteJob,
    PrepareSecrets,
    ReadManifest,
    ReadWorkspace,
    StartAttempt,
    StopPod,
    VerifyJob,
)
from controller.operator.decision.attempts import STOP_DEADLINE_SECONDS
from controller.operator.decision.capacity import parse_quota_error
from controller.operator.decision.observation import CreateFailure
from controller.operator.decision.reuse import ReusableStep, reusable_steps
from controller.operator.effects import run_secrets
from controller.operator.interfaces import ManifestReader
from controller.operator.settings import OperatorSettings
from controller.operator.workload import job as jobs
from controller.operator.workload.clone_step import git_source
from controller.run_types.keys import AttemptKey
from controller.run_types.reasons import StepReason

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_INITIAL_RETRY_SECONDS, _MAX_RETRY_SECONDS = 0.5, 30.0
_MAX_MESSAGE_LENGTH = 500
# What is wrong with the Job itself: bad request, too large, not valid.
_INVALID_JOB_STATUSES = (400, 413, 422)


class JobCreateError(KubeError):
    """The API server did not take an attempt's Job; the refusal is noted in the run's state."""


class ActionExecutor:
    """Does what was decided."""

    def __init__(
        self, client: KubeClient, store: ManifestReader, settings: OperatorSettings, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._store = store
        self._settings = settings
        self._now = now

    async def execute(self, run: Json, state: RunState, actions: Sequence[Action]) -> list[Exception]:
        """All at once; what fails holds nothing else up. Returns the failures."""
        answers = await asyncio.gather(
            *(self._execute_one(run, state, action) for action in actions), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
        return [answer for answer in answers if isinstance(answer, Exception)]

    async def _execute_one(self, run: Json, state: RunState, action: Action) -> None:
        match action:
            case StartAttempt():
                await self._start_attempt(run, state, action)
            case StopPod():
                await self._stop_pod(action)
            case DeleteJob():
                await self._delete_job(action)
            case VerifyJob():
                await self._verify_job(run, state, action)
            case ReadManifest():
                await self._read_manifest(run, state, action)
            case ReadWorkspace():
                await self._read_workspace(run, state, action)
            case PrepareSecrets():
                await self.prepare_secrets(run, state)
            case CancelRun():
                await self._cancel_run(run, action)

    async def _start_attempt(self, run: Json, state: RunState, action: StartAttempt) -> None:
        key = AttemptKey(action.step.slug, action.number)
        upstream = state.upstream[action.step.name]
        facts = state.run_context
        if source := state.status.get("source"):
            facts = replace(facts, commit=source["commit"])
        clones = action.step.name == state.source_step
        plan = jobs.JobSpec(run, state.pipeline, action.step, action.number, facts, upstream, clones)
        job = jobs.build_job(plan, self._settings)
        if job["metadata"]["name"] in state.created_jobs:
            return
        try:
            created = await self._create_job(run, job)
        except ApiError as error:
            state.create_failure_counts[key] += 1
            state.create_failures[key] = _create_failure(error, state.create_failure_counts[key], self._now())
            raise JobCreateError(str(error)) from error
        state.create_failures.pop(key, None)
        if created["metadata"]["uid"] not in state.deleted_job_uids:
            state.created_jobs[job["metadata"]["name"]] = created

    async def _create_job(self, run: Json, job: Json) -> Json:
        name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
        try:
            return await self._client.create(JOBS, job, namespace)
        except AlreadyExistsError:
            found = await self._client.get(JOBS, name, namespace)
            if is_owned(found, run["metadata"]["uid"]) and attempt_key_of(found) == attempt_key_of(job):
                return found
            message = f"a Job {name} that is not of this run is in its place; it is waited for until that is gone"
            raise ApiError(message, status=409, reason=StepReason.NAME_TAKEN) from None

    async def _cancel_run(self, run: Json, action: CancelRun) -> None:
        namespace = run["metadata"]["namespace"]
        try:
            await self._client.patch(PIPELINE_RUNS, action.name, {"spec": {"cancel": True}}, namespace=namespace)
        except NotFoundError:
            _log.info("run %s/%s is gone already", namespace, action.name)

    async def _stop_pod(self, action: StopPod) -> None:
        patch = {"spec": {"activeDeadlineSeconds": STOP_DEADLINE_SECONDS}}
        try:
            await self._client.patch(PODS, action.name, patch, namespace=action.namespace, patch_type="strategic")
        except NotFoundError:
            _log.info("pod %s/%s is gone already", action.namespace, action.name)

    async def _delete_job(self, action: DeleteJob) -> None:
        try:
            await self._client.delete(JOBS, action.name, namespace=action.namespace, uid=action.uid)
        except (NotFoundError, ConflictError):
            # A conflict: another object has its name by now.
            _log.info("job %s/%s is gone already", action.namespace, action.name)

    async def _verify_job(self, run: Json, state: RunState, action: VerifyJob) -> None:
        try:
            found = await self._client.get(JOBS, action.job_name, run["metadata"]["namespace"])
        except NotFoundError:
            state.missing_jobs.add(action.job_name)
            return
        if is_owned(found, run["metadata"]["uid"]) and found["metadata"]["uid"] not in state.deleted_job_uids:
            state.created_jobs[action.job_name] = found
        else:
            state.missing_jobs.add(action.job_name)

    async def _read_manifest(self, run: Json, state: RunState, action: ReadManifest) -> None:
        key = names.manifest_key(run["metadata"]["namespace"], run["metadata"]["name"], action.slug, action.number)
        found = json.loads(await self._store.get(key)) if await self._store.head(key) is not None else None
        state.manifests[AttemptKey(action.slug, action.number)] = found

    async def _read_workspace(self, run: Json, state: RunState, action: ReadWorkspace) -> None:
        metadata = run["metadata"]
        key = names.workspace_manifest_key(metadata["namespace"], metadata["uid"], action.slug, action.number)
        there = await self._store.head(key) is not None
        state.workspaces[AttemptKey(action.slug, action.number)] = (
            json.loads(await self._store.get(key)) if there else None
        )

    async def load_reusable_steps(self, run: Json) -> dict[str, ReusableStep]:
        """What the run named by `reuseFrom` has to offer; a step whose artifacts are swept away is no offer."""
        namespace, name = run["metadata"]["namespace"], run["spec"]["reuseFrom"]
        try:
            found = reusable_steps(await self._client.get(PIPELINE_RUNS, name, namespace))
        except NotFoundError:
            _log.warning(
                "run %s/%s: the run %s, whose steps it was to reuse, is gone", namespace, run["metadata"]["name"], name
            )
            return {}
        kept = await asyncio.gather(*(self._has_artifacts(namespace, each) for each in found.values()))
        return {made_of: each for (made_of, each), there in zip(found.items(), kept, strict=True) if there}

    async def _has_artifacts(self, namespace: str, found: ReusableStep) -> bool:
        made = found.reused
        if not found.artifacts:
            return True
        key = names.manifest_key(namespace, made["run"], made["slug"], made["attempt"])
        return await self._store.head(key) is not None

    async def _missing_credentials(self, run: Json, state: RunState) -> dict[str, str]:
        """The step that clones lacks its Secret: (its name, a sentence); nothing when all is there."""
        git = git_source(run) or {}
        if state.source_step is None or not git.get("secretRef"):
            return {}
        try:
            await self._client.get(SECRETS, git["secretRef"], run["metadata"]["namespace"])
        except NotFoundError:
            return {state.source_step: f"there is no secret {git['secretRef']} with the credentials for {git['url']}"}
        return {}

    async def prepare_secrets(self, run: Json, state: RunState) -> None:
        """Make the run's Secrets, or read those made before."""
        try:
            state.secret_values = await run_secrets.copy_secret_values(self._client, run, state.steps)
            state.missing_secrets = run_secrets.missing_secrets(state.steps, state.secret_values)
            state.missing_secrets |= await self._missing_credentials(run, state)
            if jobs.uses_agents(state.steps, run, state.pipeline):
                await run_secrets.create_agent_token(self._client, run, self._settings, self._now().timestamp())
        except KubeError as error:
            state.prepare_error = str(error)[:_MAX_MESSAGE_LENGTH]
            raise
        state.secrets_ready, state.prepare_error = True, ""


def _create_failure(error: ApiError, times: int, now: datetime) -> CreateFailure:
    """What a refused Job means for its step."""
    words = str(error)[:_MAX_MESSAGE_LENGTH]
    wait = timedelta(seconds=min(_INITIAL_RETRY_SECONDS * 2.0 ** min(times - 1, 10), _MAX_RETRY_SECONDS))
    if error.status in _INVALID_JOB_STATUSES:
        return CreateFailure(StepReason.JOB_INVALID, f"the cluster does not take its Job: {words}", True, now)
    if error.status == 403 and (short := parse_quota_error(words)) is not None:
        return CreateFailure(short.reason, short.message, short.permanent, now + wait)
    if error.reason == StepReason.NAME_TAKEN:
        return CreateFailure(StepReason.NAME_TAKEN, words, False, now + wait)
    return CreateFailure(
        StepReason.NOT_CREATED, f"its Job could not be created: {words}; it is tried again", False, now + wait
    )
