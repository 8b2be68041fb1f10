"""Takes in runs that were not known before: waits for their approval, completes and checks their definition."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controller.kube import PIPELINE_CONFIGS, PIPELINE_RUNS, ApiError, KubeClient, NotFoundError, TooLargeError
from controller.operator import names
from controller.operator.approval import time_left, unapproved_status
from controller.operator.cache.run_plan import InvalidRunError, is_unresolved
from controller.operator.cache.run_state import RunState, new_run_state
from controller.operator.decision import finalizer
from controller.operator.decision.run_status import invalid_status
from controller.operator.effects.event_recorder import EventRecorder, audit_fields, describe_trigger
from controller.operator.effects.run_numbering import RunNumbering
from controller.operator.effects.status_writer import StatusWriter
from controller.operator.plan_loader import PlanLoader
from controller.operator.run_object import as_run, status_of
from controller.operator.settings import OperatorSettings
from controller.operator.workload.debug_copies import debug_source
from controller.provenance import verified_creator
from controller.run_types.keys import RunKey
from controller.run_types.reasons import RunReason

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

_log = logging.getLogger(__name__)


class RunLoader:
    """Makes the state of runs. A run that can't be run gets its final status here.

    Args:
        process: the identity of this process, which tells it from earlier ones.
        now: the wall clock.
    """

    def __init__(
        self,
        client: KubeClient,
        plans: PlanLoader,
        numbering: RunNumbering,
        writer: StatusWriter,
        recorder: EventRecorder,
        settings: OperatorSettings,
        process: str,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._plans = plans
        self._numbering = numbering
        self._writer = writer
        self._recorder = recorder
        self._settings = settings
        self._process = process
        self._now = now

    async def load(self, key: RunKey, run: RunObject) -> RunState | None:
        """The state of a run that was not known before; None for one that is invalid, or changes first.

        Raises:
            PlanDeferredError: its definition is not checked yet; try again later.
            KubeError: a request failed; try again.
        """
        creator = self._creator(run)
        try:
            if not run["spec"].get("pipeline") and not is_unresolved(run["spec"]):
                await self._copy_pipeline_config(run)
                return None
            if finalizer.is_exhausted(run, self._process):
                message = f"{finalizer.MAX_LOAD_ATTEMPTS} times the operator ended while it prepared the run"
                raise InvalidRunError(message, RunReason.TOO_EXPENSIVE)
            if finalizer.needs_mark(run, self._process):
                patch = finalizer.mark_patch(run, self._process)
                patched = await self._client.patch(
                    PIPELINE_RUNS, key.name, patch, namespace=key.namespace, patch_type="json"
                )
                run = as_run(patched)
            _require_creator_of_copy(run, creator)
            plan = await self._plans.load(run, isolated=finalizer.needs_isolation(run))
            state = new_run_state(run, plan, self._now(), creator)
        except InvalidRunError as error:
            status = invalid_status(run, error.reason, str(error), self._now(), creator)
            await self._writer.write_now(key, status, run["metadata"]["resourceVersion"])
            self._recorder.record(run, "Warning", error.reason, str(error))
            return None
        if not state.status.server.get("phase"):
            extra = audit_fields(run, "Accepted", creator)
            _log.info("run %s/%s is accepted, %s", *key, describe_trigger(run, creator), extra=extra)
        return state

    def _creator(self, run: RunObject) -> str | None:
        """The user who created the run. A status is the operator's own: what it proved before stays proven."""
        return status_of(run).get("createdBy") or verified_creator(self._settings.agent_key, run)

    async def await_approval(self, key: RunKey, run: RunObject) -> timedelta:
        """Say that the run waits for an approval, unless its status says so already; how long it still may."""
        now = self._now()
        status = unapproved_status(run, now, self._creator(run))
        if status != run.get("status"):
            await self._writer.write_now(key, status, run["metadata"]["resourceVersion"])
            self._recorder.record(run, "Normal", status["reason"], status["message"])
        return max(time_left(run, now), timedelta(seconds=1))

    async def _copy_pipeline_config(self, run: RunObject) -> None:
        """Copy the definition that `pipelineConfigRef` names into the run, where later changes do not affect it."""
        namespace, name = names.run_key(run)
        reference = (run["spec"].get("pipelineConfigRef") or {}).get("name")
        if not reference:
            raise InvalidRunError("the run has neither a pipeline nor a pipelineConfigRef")
        try:
            config = await self._client.get(PIPELINE_CONFIGS, reference, namespace)
        except NotFoundError:
            raise InvalidRunError(f"there is no PipelineConfig {reference} in namespace {namespace}") from None
        definition = {"name": reference, **config["spec"]}
        run_labels = await self._numbering.labels_of(run, reference)
        patch = {"metadata": {"uid": run["metadata"]["uid"], "labels": run_labels}, "spec": {"pipeline": definition}}
        try:
            await self._client.patch(PIPELINE_RUNS, name, patch, namespace=namespace)
        except TooLargeError as error:
            raise InvalidRunError(
                f"the pipeline of PipelineConfig {reference} is too large for a run: {error}"
            ) from error
        except ApiError as error:
            if error.status == 422:
                raise InvalidRunError(f"the pipeline of PipelineConfig {reference} is not valid: {error}") from error
            raise


def _require_creator_of_copy(run: RunObject, creator: str | None) -> None:
    """Raises InvalidRunError for a new copy of a failed step that was not created by the API.

    The saved workspace may hold whatever the step wrote. Only the API checks that the user may open a shell in pods.
    """
    is_new = not status_of(run).get("phase")
    if is_new and creator is None and debug_source(run) is not None:
        raise InvalidRunError(
            "only the API creates runs with source.kept, for users who may create pods/exec; open a shell in the "
            "failed step with `c8s shell`. If this run was created by the API, its clock and that of Kubernetes "
            "differ, or its agent key is not the operator's"
        )
