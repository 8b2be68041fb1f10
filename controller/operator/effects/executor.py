"""Executes the actions of a decision against the cluster and the object store: one or two requests each."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller.kube import (
    JOBS,
    PIPELINE_RUNS,
    PODS,
    AlreadyExistsError,
    ApiError,
    ConflictError,
    KubeClient,
    KubeError,
    NotFoundError,
    UnreachableError,
)
from controller.operator import names
from controller.operator.cache.owned_resources import attempt_key_of, is_owned
from controller.operator.cache.run_state import RunSecrets, RunState
from controller.operator.decision.actions import (
    Action,
    CancelRun,
    DeleteJob,
    OpenGate,
    PrepareSecrets,
    ReadManifest,
    ReadProvidedSecrets,
    ReadWaiting,
    ReadWorkspace,
    StartAttempt,
    StopPod,
    VerifyJob,
    WithdrawJob,
)
from controller.operator.decision.attempts import STOP_DEADLINE_SECONDS
from controller.operator.decision.observation import CreateFailure
from controller.operator.decision.pods.capacity import parse_quota_error
from controller.operator.effects import run_secrets
from controller.operator.effects.provided_secrets import read_provided, refused_providers
from controller.operator.effects.waiting_reader import read_waiting
from controller.operator.gate import is_closed, opening_patch
from controller.operator.interfaces import CloneTokenError, CloneTokens, ManifestReader
from controller.operator.settings import OperatorSettings
from controller.operator.workload import job as jobs
from controller.operator.workload.clone_step import git_source
from controller.run_types.keys import AttemptKey
from controller.run_types.reasons import StepReason

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_INITIAL_RETRY_SECONDS, _MAX_RETRY_SECONDS = 0.5, 30.0
_MAX_MESSAGE_LENGTH = 500
# The Job itself is wrong: bad request, too large, invalid.
_INVALID_JOB_STATUSES = (400, 413, 422)


_WITHDRAWALS = 5
"""Tries to delete a Job that is changed at the same time, by the Job controller as a rule."""
_MANIFEST_HEAD_BYTES = 1024
_BEFORE_FILES = b',"files":['


class JobCreateError(KubeError):
    """The API server rejected the Job of an attempt; the run's state has the failure."""


class ActionExecutor:
    """Executes the actions of a decision."""

    def __init__(
        self,
        client: KubeClient,
        store: ManifestReader,
        settings: OperatorSettings,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        clone_tokens: CloneTokens | None = None,
    ) -> None:
        self._client = client
        self._clone_tokens = clone_tokens
        self._store = store
        self._settings = settings
        self._now = now
        self._monotonic = monotonic

    async def execute(self, run: RunObject, state: RunState, actions: Sequence[Action]) -> list[Exception]:
        """Execute all actions concurrently, independently of each other. Returns the failures."""
        answers = await asyncio.gather(
            *(self._execute_one(run, state, action) for action in actions), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
        return [answer for answer in answers if isinstance(answer, Exception)]

    async def _execute_one(self, run: RunObject, state: RunState, action: Action) -> None:
        match action:
            case StartAttempt():
                await self._start_attempt(run, state, action)
            case OpenGate():
                await self._open_gate(run, state, action)
            case WithdrawJob():
                await self._withdraw_job(run, state, action)
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
            case ReadWaiting():
                namespace = run["metadata"]["namespace"]
                state.observed.waiting = await read_waiting(self._client, namespace, action, self._monotonic())
            case ReadProvidedSecrets():
                values = await read_provided(self._client, run, action.attempt, action.secrets)
                if values is not None:
                    state.provided[action.attempt] = values
            case PrepareSecrets():
                await self.prepare_secrets(run, state)
            case CancelRun():
                await self._cancel_run(run, action)

    async def _start_attempt(self, run: RunObject, state: RunState, action: StartAttempt) -> None:
        observed = state.observed
        spec = self._job_spec(run, state, action)
        key = AttemptKey(action.step.slug, action.number)
        if key in observed.created_jobs:
            return
        job = jobs.build_job(spec, self._settings)
        try:
            await self._create_agent_tokens(run, key, spec)
            created = await self._create_job(run, job)
        except ApiError as error:
            if action.early:
                # It is made when it is due: only then does it matter why that is not possible.
                observed.not_early.add(action.step.slug)
                _log.info("nothing is made ahead of %s: %s", action.step.name, error)
                raise JobCreateError(str(error)) from error
            observed.create_failure_counts[key] += 1
            observed.create_failures[key] = _create_failure(
                error, observed.create_failure_counts[key], self._monotonic()
            )
            raise JobCreateError(str(error)) from error
        observed.create_failures.pop(key, None)
        observed.on_job_created(key, created)
        if is_closed(created) != action.early:
            # An earlier process made it, and the informer does not show it yet.
            raise JobCreateError(f"the Job {created['metadata']['name']} exists already")

    async def _open_gate(self, run: RunObject, state: RunState, action: OpenGate) -> None:
        """Open the gate of a Job. Raises JobCreateError if there is no such Job any more."""
        namespace, holds = run["metadata"]["namespace"], jobs.find_holds(run, action.step)
        patch = opening_patch(action.uid, self._now(), holds)
        key = AttemptKey(action.step.slug, action.number)
        try:
            opened = await self._client.patch(JOBS, action.name, patch, namespace=namespace, patch_type="json")
        except ApiError as error:
            if error.status not in (404, 422):
                raise
            # It was deleted, or another one has its name now.
            state.observed.on_job_withdrawn(key, action.name, action.uid)
            raise JobCreateError(f"the Job {action.name} that was made ahead no longer exists") from error
        state.observed.on_gate_opened(key, opened)

    async def _withdraw_job(self, run: RunObject, state: RunState, action: WithdrawJob) -> None:
        """Delete a Job as long as its gate is closed: an opening at the same time wins."""
        namespace, version = run["metadata"]["namespace"], action.resource_version
        key = AttemptKey(action.slug, action.number)
        for _ in range(_WITHDRAWALS):
            try:
                await self._client.delete(
                    JOBS, action.name, namespace=namespace, uid=action.uid, resource_version=version
                )
                break
            except NotFoundError:
                break
            except ConflictError:
                try:
                    found = await self._client.get(JOBS, action.name, namespace)
                except NotFoundError:
                    break
                if found["metadata"]["uid"] != action.uid:
                    break
                if not is_closed(found):
                    state.observed.on_gate_opened(key, found)
                    return
                version = found["metadata"]["resourceVersion"]
        else:
            raise ConflictError(f"the Job {action.name} changes all the time", status=409)
        state.observed.on_job_withdrawn(key, action.name, action.uid)

    def _job_spec(self, run: RunObject, state: RunState, action: StartAttempt) -> jobs.JobSpec:
        plan, context = state.plan, state.plan.run_context
        if source := state.status.current.get("source"):
            context = replace(context, commit=source["commit"])
        return jobs.JobSpec(
            run=run,
            pipeline=plan.pipeline,
            step=action.step,
            attempt=action.number,
            run_context=context,
            upstream=plan.artifact_producers[action.step.name],
            is_clone_step=action.step.name == plan.source_step,
            always_has_agent=self._settings.step_agents == "always",
            is_early=action.early,
            queue=state.queue or "",
        )

    async def _create_agent_tokens(self, run: RunObject, key: AttemptKey, spec: jobs.JobSpec) -> None:
        """Create the tokens of the attempt's agents.

        Raises:
            ApiError: also where no answer came. Without its tokens no Job is created, so the attempt has not started;
                after a lost answer to the creation of the Job itself it may have.
        """
        if not spec.agent_roles:
            return
        now = self._now().timestamp()
        try:
            await run_secrets.create_agent_tokens(self._client, run, key, spec.agent_roles, self._settings, now)
        except UnreachableError as error:
            raise ApiError(str(error), status=503) from error

    async def _create_job(self, run: RunObject, job: Json) -> Json:
        name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
        try:
            return await self._client.create(JOBS, job, namespace)
        except AlreadyExistsError:
            found = await self._client.get(JOBS, name, namespace)
            is_leaving = is_closed(found) and "deletionTimestamp" in found["metadata"]
            if is_leaving:
                message = f"Job {name} was made ahead and is being deleted; retrying"
                raise ApiError(message, status=409, reason=StepReason.NAME_TAKEN) from None
            if is_owned(found, run["metadata"]["uid"]) and attempt_key_of(found) == attempt_key_of(job):
                return found
            message = f"Job {name} exists but belongs to another run; retrying until it is deleted"
            raise ApiError(message, status=409, reason=StepReason.NAME_TAKEN) from None

    async def _cancel_run(self, run: RunObject, action: CancelRun) -> None:
        namespace = run["metadata"]["namespace"]
        patch = {"metadata": {"uid": action.uid}, "spec": {"cancel": True}}
        try:
            await self._client.patch(PIPELINE_RUNS, action.name, patch, namespace=namespace)
        except (NotFoundError, ConflictError):
            # A conflict: another run has that name now.
            _log.info("run %s/%s no longer exists", namespace, action.name)

    async def _stop_pod(self, action: StopPod) -> None:
        patch = {"metadata": {"uid": action.uid}, "spec": {"activeDeadlineSeconds": STOP_DEADLINE_SECONDS}}
        try:
            await self._client.patch(PODS, action.name, patch, namespace=action.namespace, patch_type="strategic")
        except (NotFoundError, ConflictError):
            # A conflict: another pod has that name now.
            _log.info("pod %s/%s no longer exists", action.namespace, action.name)

    async def _delete_job(self, action: DeleteJob) -> None:
        try:
            await self._client.delete(JOBS, action.name, namespace=action.namespace, uid=action.uid)
        except (NotFoundError, ConflictError):
            # A conflict: another object has that name now.
            _log.info("job %s/%s no longer exists", action.namespace, action.name)

    async def delete_closed_jobs(self, found: Iterable[Json]) -> None:
        """Delete the Jobs with a closed gate: an earlier process has made them ahead of a run that has ended since."""
        for job in found:
            if is_closed(job) and "deletionTimestamp" not in job["metadata"]:
                metadata = job["metadata"]
                await self._delete_job(DeleteJob(metadata["namespace"], metadata["name"], metadata["uid"]))

    async def _verify_job(self, run: RunObject, state: RunState, action: VerifyJob) -> None:
        observed, key = state.observed, AttemptKey(action.slug, action.number)
        try:
            found = await self._client.get(JOBS, action.job_name, run["metadata"]["namespace"])
        except NotFoundError:
            observed.missing_jobs.add(key)
            return
        if is_owned(found, run["metadata"]["uid"]) and observed.on_job_created(key, found):
            return
        observed.missing_jobs.add(key)

    async def _read_manifest(self, run: RunObject, state: RunState, action: ReadManifest) -> None:
        metadata = run["metadata"]
        key = names.manifest_key(metadata["namespace"], metadata["uid"], action.slug, action.number)
        state.observed.manifests[AttemptKey(action.slug, action.number)] = await self._read_manifest_summary(key)

    async def _read_manifest_summary(self, key: str) -> Json | None:
        """A manifest of artifacts, without the list of files if it says itself how many there are; None for none."""
        if await self._store.head(key) is None:
            return None
        head = b"".join([chunk async for chunk in self._store.read(key, 0, _MANIFEST_HEAD_BYTES)])
        try:
            return _decode_manifest_head(head) or _decode_object(await self._store.get(key))
        except (ValueError, TypeError) as error:
            _log_damaged(key, error)
            return None

    async def _read_workspace(self, run: RunObject, state: RunState, action: ReadWorkspace) -> None:
        metadata = run["metadata"]
        key = names.workspace_manifest_key(metadata["namespace"], metadata["uid"], action.slug, action.number)
        state.observed.workspaces[AttemptKey(action.slug, action.number)] = await self._read_json(key)

    async def _read_json(self, key: str) -> Json | None:
        """A document of the store; None if there is none."""
        if await self._store.head(key) is None:
            return None
        try:
            return _decode_object(await self._store.get(key))
        except (ValueError, TypeError) as error:
            _log_damaged(key, error)
            return None

    async def prepare_secrets(self, run: RunObject, state: RunState) -> None:
        """Create the run's Secrets, or read those that an earlier process created. Raises KubeError."""
        plan = state.plan
        try:
            copied = await run_secrets.copy_secrets(
                self._client,
                run,
                plan.steps,
                is_of_connection=_is_of_connection(run, state),
                clone_tokens=self._clone_tokens,
            )
            missing = run_secrets.missing_secrets(plan.steps, copied)
            missing |= await refused_providers(self._client, run, plan.steps)
            if copied.git_problem and plan.source_step is not None:
                missing |= {plan.source_step: copied.git_problem}
            elif not copied.has_git_credentials:
                missing |= await self._missing_credentials(run, state)
        except (KubeError, CloneTokenError) as error:
            state.secrets = replace(state.secrets, error=str(error)[:_MAX_MESSAGE_LENGTH])
            raise
        digests = run_secrets.secret_digests(plan.steps, copied, self._settings.agent_key)
        state.secrets = RunSecrets(ready=True, values=copied.values, missing=missing, digests=digests)

    async def _missing_credentials(self, run: RunObject, state: RunState) -> dict[str, str]:
        """Name of the clone step -> why it lacks the credentials for its repository; empty if it does not."""
        plan = state.plan
        git = git_source(run)
        name = git.get("secretRef") if git is not None else None
        if plan.source_step is None or git is None or not name:
            return {}
        found = await run_secrets.find_secret(self._client, run["metadata"]["namespace"], name)
        if found is None:
            return {plan.source_step: f"there is no secret {name} with the credentials for {git['url']}"}
        reason = run_secrets.why_not_clone_with(name, found, git["url"], is_of_connection=_is_of_connection(run, state))
        return {plan.source_step: reason} if reason else {}


def _is_of_connection(run: RunObject, state: RunState) -> bool:
    """Whether the receiver created the run for a connection, or the API did so again."""
    return state.creator is not None and bool((run["spec"].get("trigger") or {}).get("connection"))


def _decode_object(data: bytes) -> Json:
    """A JSON object. Raises ValueError or TypeError."""
    found: Json = json.loads(data)
    # Fails for what is no object.
    return dict(found)


def _log_damaged(key: str, error: Exception) -> None:
    """A damaged document counts as missing: reading it again would not help."""
    _log.warning("the stored document %s is damaged and counts as missing: %s", key, error)


def _decode_manifest_head(head: bytes) -> Json | None:
    """What stands in a manifest before the list of files; None if the list comes first."""
    before, found, _ = head.partition(_BEFORE_FILES)
    return json.loads(before + b"}") if found and before.startswith(b'{"archive"') else None


def _create_failure(error: ApiError, times: int, monotonic: float) -> CreateFailure:
    """What the rejection of a Job means for its step. `times`: how often it was rejected in a row."""
    words = str(error)[:_MAX_MESSAGE_LENGTH]
    retry_at = monotonic + min(_INITIAL_RETRY_SECONDS * 2.0 ** min(times - 1, 10), _MAX_RETRY_SECONDS)
    if error.status in _INVALID_JOB_STATUSES:
        return CreateFailure(StepReason.JOB_INVALID, f"the cluster does not take its Job: {words}", True, retry_at)
    if error.status == 403 and (short := parse_quota_error(words)) is not None:
        return CreateFailure(short.reason, short.message, short.permanent, retry_at)
    if error.reason == StepReason.NAME_TAKEN:
        return CreateFailure(StepReason.NAME_TAKEN, words, False, retry_at)
    return CreateFailure(
        StepReason.NOT_CREATED, f"its Job could not be created: {words}; it is tried again", False, retry_at
    )
