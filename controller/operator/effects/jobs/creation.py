"""Creates the Jobs of attempts.

A request whose answer was lost may have arrived. Until it is known whether the Job exists, its attempt counts neither
as started nor as not started: the creation is repeated, which makes no second Job, since the name is that of the
attempt; or the API server is asked for the Job, where the step is not to start any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller.kube import JOBS, AlreadyExistsError, ApiError, KubeClient, KubeError, NotFoundError, UnreachableError
from controller.operator.cache.owned_resources import attempt_key_of, is_owned
from controller.operator.cache.run_state import ObservedCache, RunState
from controller.operator.decision.actions import StartAttempt, VerifyJob
from controller.operator.decision.observation import CreateFailure
from controller.operator.decision.pods.capacity import parse_quota_error
from controller.operator.effects import run_secrets
from controller.operator.gate import is_closed
from controller.operator.settings import OperatorSettings
from controller.operator.workload import job as jobs
from controller.run_types.keys import AttemptKey
from controller.run_types.reasons import StepReason

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_INITIAL_RETRY_SECONDS, _MAX_RETRY_SECONDS = 0.5, 30.0
_MAX_UNANSWERED_RETRY_SECONDS = 4.0
"""The API server is away, for seconds as a rule; the Job may exist and run."""
_MAX_MESSAGE_LENGTH = 500
# The Job itself is wrong: bad request, too large, invalid.
_INVALID_JOB_STATUSES = (400, 413, 422)


class JobCreateError(KubeError):
    """An attempt has no Job yet, or already has one; the run's state says which."""


class JobCreator:
    """Creates Jobs, and finds out whether they exist.

    Args:
        now: the wall clock, for the expiry of tokens.
        monotonic: seconds on a clock that nobody sets, for retries.
    """

    def __init__(
        self,
        client: KubeClient,
        settings: OperatorSettings,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._client = client
        self._settings = settings
        self._now = now
        self._monotonic = monotonic

    async def start_attempt(self, run: RunObject, state: RunState, action: StartAttempt) -> None:
        """Create the Job of an attempt, with the tokens of its agents.

        Raises:
            JobCreateError: it was refused, or not answered, or the Job existed: decide again.
        """
        observed, key = state.observed, AttemptKey(action.step.slug, action.number)
        if key in observed.created_jobs:
            return
        spec = self._job_spec(run, state, action)
        job = jobs.build_job(spec, self._settings)
        try:
            existing = await self._find_earlier(run, observed, key, job)
            if existing is None:
                await self._create_agent_tokens(run, key, spec)
                created, is_new = await self._create_job(run, observed, key, job)
            else:
                created, is_new = existing, False
            if not observed.on_job_created(key, created):
                message = f"Job {job['metadata']['name']} was deleted by something else; retrying"
                raise ApiError(message, status=409, reason=StepReason.NAME_TAKEN)
        except KubeError as error:
            self._note_failure(observed, key, action, error)
            raise JobCreateError(str(error)) from error
        if not is_new:
            # By an earlier process, or a request without an answer: it may have started, or have ended, long ago.
            raise JobCreateError(f"the Job {created['metadata']['name']} exists already")

    async def verify_job(self, run: RunObject, state: RunState, action: VerifyJob) -> None:
        """Note whether the Job of an attempt exists. Raises KubeError: ask again."""
        observed, key = state.observed, AttemptKey(action.slug, action.number)
        found = await self._get_own(run, action.job_name)
        observed.unanswered.discard(key)
        if found is None or not observed.on_job_created(key, found):
            observed.missing_jobs.add(key)

    async def _get_own(self, run: RunObject, name: str) -> Json | None:
        """The Job of this name; None if the run has none."""
        try:
            found = await self._client.get(JOBS, name, run["metadata"]["namespace"])
        except NotFoundError:
            return None
        return found if is_owned(found, run["metadata"]["uid"]) else None

    async def _find_earlier(self, run: RunObject, observed: ObservedCache, key: AttemptKey, job: Json) -> Json | None:
        """The Job that a request without an answer has made, which a refusal of the next one would not show."""
        if key not in observed.unanswered:
            return None
        found = await self._get_own(run, job["metadata"]["name"])
        return None if found is None or _is_leaving(found) or attempt_key_of(found) != key else found

    async def _create_agent_tokens(self, run: RunObject, key: AttemptKey, spec: jobs.JobSpec) -> None:
        if spec.agent_roles:
            now = self._now().timestamp()
            await run_secrets.create_agent_tokens(self._client, run, key, spec.agent_roles, self._settings, now)

    async def _create_job(
        self, run: RunObject, observed: ObservedCache, key: AttemptKey, job: Json
    ) -> tuple[Json, bool]:
        """The Job, and whether it was created now."""
        name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
        observed.unanswered.add(key)
        try:
            return await self._client.create(JOBS, job, namespace), True
        except AlreadyExistsError:
            found = await self._client.get(JOBS, name, namespace)
        except ApiError as error:
            if error.status < 500:
                observed.unanswered.discard(key)
            # Otherwise it may exist: a timeout of etcd, or a proxy's, is no refusal.
            raise
        if _is_leaving(found):
            observed.unanswered.discard(key)
            message = f"Job {name} was made ahead and is being deleted; retrying"
            raise ApiError(message, status=409, reason=StepReason.NAME_TAKEN)
        if is_owned(found, run["metadata"]["uid"]) and attempt_key_of(found) == key:
            return found, False
        observed.unanswered.discard(key)
        message = f"Job {name} exists but belongs to another run; retrying until it is deleted"
        raise ApiError(message, status=409, reason=StepReason.NAME_TAKEN)

    def _note_failure(self, observed: ObservedCache, key: AttemptKey, action: StartAttempt, error: KubeError) -> None:
        is_unanswered = key in observed.unanswered
        if not action.early:
            observed.create_failure_counts[key] += 1
            observed.create_failures[key] = _create_failure(
                error, observed.create_failure_counts[key], self._monotonic(), is_unanswered=is_unanswered
            )
            return
        _log.info("nothing is made ahead of %s: %s", action.step.name, error)
        if not (is_unanswered and isinstance(error, UnreachableError)):
            # It is made when it is due: only then does it matter why that is not possible.
            observed.not_early.add(key.slug)

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


def _is_leaving(job: Json) -> bool:
    """Whether a Job was made ahead, and is being deleted before its gate was opened."""
    return is_closed(job) and "deletionTimestamp" in job["metadata"]


def _create_failure(error: KubeError, times: int, monotonic: float, *, is_unanswered: bool) -> CreateFailure:
    """What the failed creation of a Job means for its step. `times`: how often it failed in a row."""
    words = str(error)[:_MAX_MESSAGE_LENGTH]
    has_no_answer = is_unanswered or isinstance(error, UnreachableError)
    longest = _MAX_UNANSWERED_RETRY_SECONDS if has_no_answer else _MAX_RETRY_SECONDS
    retry_at = monotonic + min(_INITIAL_RETRY_SECONDS * 2.0 ** min(times - 1, 10), longest)
    if is_unanswered:
        message = f"the cluster did not answer whether it has made its Job: {words}; it is tried again"
        return CreateFailure(StepReason.NOT_CREATED, message, False, retry_at)
    status = error.status if isinstance(error, ApiError) else 0
    if status in _INVALID_JOB_STATUSES:
        return CreateFailure(StepReason.JOB_INVALID, f"the cluster does not take its Job: {words}", True, retry_at)
    if status == 403 and (short := parse_quota_error(words)) is not None:
        return CreateFailure(short.reason, short.message, short.permanent, retry_at)
    if isinstance(error, ApiError) and error.reason == StepReason.NAME_TAKEN:
        return CreateFailure(StepReason.NAME_TAKEN, words, False, retry_at)
    return CreateFailure(
        StepReason.NOT_CREATED, f"its Job could not be created: {words}; it is tried again", False, retry_at
    )
