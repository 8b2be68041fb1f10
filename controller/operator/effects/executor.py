"""Executes the actions of a decision against the cluster and the object store: one or two requests each."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.kube import (
    JOBS,
    PIPELINE_RUNS,
    PODS,
    ApiError,
    ConflictError,
    KubeClient,
    KubeError,
    NotFoundError,
)
from controller.operator import names
from controller.operator.cache.owned_resources import controller_uid
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
    VerifyPod,
    WithdrawJob,
)
from controller.operator.effects import run_secrets
from controller.operator.effects.jobs.creation import JobCreateError, JobCreator
from controller.operator.effects.jobs.removal import JobRemover
from controller.operator.effects.provided_secrets import read_provided, refused_providers
from controller.operator.effects.waiting_reader import read_waiting
from controller.operator.gate import opening_patch
from controller.operator.interfaces import CloneTokenError, CloneTokens, ManifestReader
from controller.operator.settings import OperatorSettings
from controller.operator.workload import job as jobs
from controller.operator.workload.clone_step import git_source
from controller.run_types.keys import AttemptKey

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_MAX_MESSAGE_LENGTH = 500
_MANIFEST_HEAD_BYTES = 1024
_BEFORE_FILES = b',"files":['


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
        self._creator = JobCreator(client, settings, now, monotonic)
        self._remover = JobRemover(client)

    async def execute(self, run: RunObject, state: RunState, actions: Sequence[Action]) -> list[Exception]:
        """Execute all actions concurrently, independently of each other. Returns the failures.

        Raises:
            Exception: of an attempt that was not started, for a reason that is no answer of the cluster.
        """
        answers = await asyncio.gather(
            *(self._execute_one(run, state, action) for action in actions), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Exception):
                raise answer
        for action, answer in zip(actions, answers, strict=True):
            if isinstance(action, StartAttempt) and isinstance(answer, Exception) and not isinstance(answer, KubeError):
                # The decision must not be recorded: it says that the attempt has started.
                raise answer
        return [answer for answer in answers if isinstance(answer, Exception)]

    async def _execute_one(self, run: RunObject, state: RunState, action: Action) -> None:
        match action:
            case StartAttempt():
                await self._creator.start_attempt(run, state, action)
            case OpenGate():
                await self._open_gate(run, state, action)
            case WithdrawJob():
                await self._remover.withdraw(run, state, action)
            case StopPod():
                await self._remover.stop_pod(action)
            case DeleteJob():
                if not await self._remover.delete(action):
                    # An informer that began anew never shows what was made and deleted meanwhile.
                    state.observed.on_job_gone(action.uid)
            case VerifyJob():
                await self._creator.verify_job(run, state, action)
            case VerifyPod():
                await self._verify_pod(run, state, action)
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

    async def _cancel_run(self, run: RunObject, action: CancelRun) -> None:
        namespace = run["metadata"]["namespace"]
        patch = {"metadata": {"uid": action.uid}, "spec": {"cancel": True}}
        try:
            await self._client.patch(PIPELINE_RUNS, action.name, patch, namespace=namespace)
        except (NotFoundError, ConflictError):
            # A conflict: another run has that name now.
            _log.info("run %s/%s no longer exists", namespace, action.name)

    async def delete_left_jobs(self, run: RunObject, found: Mapping[AttemptKey, Json]) -> None:
        """Delete the Jobs of an ended run that it is not to have, see `JobRemover.delete_left`."""
        await self._remover.delete_left(run, found)

    async def _verify_pod(self, run: RunObject, state: RunState, action: VerifyPod) -> None:
        """Note that a Job has no pod. One that is there is shown by the informer in a moment."""
        name, namespace = run["metadata"]["name"], run["metadata"]["namespace"]
        selector = f"{labels.RUN}={name},{labels.STEP}={action.slug},{labels.ATTEMPT}={action.number}"
        found = await self._client.list(PODS, namespace, label_selector=selector)
        if not any(controller_uid(pod, "Job") == action.job_uid for pod in found["items"]):
            state.observed.podless_jobs.add(action.job_uid)

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
