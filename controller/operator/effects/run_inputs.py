"""Loads what a run is made from and what it may reuse, before its next step is decided."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from controller.operator.cache.run_state import RunState
from controller.operator.decision.inputs.reuse import reuses_any_run
from controller.operator.effects.event_recorder import EventRecorder
from controller.operator.effects.executor import ActionExecutor
from controller.operator.effects.reuse_loader import ReuseLoader
from controller.operator.effects.source_files import SourceFiles, UnknownFilesError, digest_inputs

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject


class RunInputs:
    """Loads the inputs of runs into their states."""

    def __init__(
        self, files: SourceFiles, reuse: ReuseLoader, executor: ActionExecutor, recorder: EventRecorder
    ) -> None:
        self._files = files
        self._reuse = reuse
        self._executor = executor
        self._recorder = recorder

    async def load(self, run: RunObject, state: RunState, *, has_started: bool) -> None:
        """Load what is missing in the state and can be known by now. Raises KubeError.

        Of a run that reuses nothing, the first steps do not wait until its files are listed.
        """
        is_named, is_any = bool(run["spec"].get("reuseFrom")), reuses_any_run(run["spec"], state.plan.pipeline)
        may_reuse = is_named or is_any
        if may_reuse and not state.secrets.ready and any(step.step.secrets for step in state.plan.steps):
            # What was made with other values is not the same.
            await self._executor.prepare_secrets(run, state)
        if state.input_files is None and state.plan.input_globs and (may_reuse or has_started):
            state.input_files = await self._digest_files(run, state)
        if state.reusable is None and is_named:
            found = await self._reuse.load(run)
            if found.problem:
                self._recorder.record(run, "Warning", "NothingReused", f"nothing is reused: {found.problem}")
            state.reusable = dict(found.steps)
        # Those of a repository are known once it is cloned.
        wanted = set(state.input_digests(run["spec"]).values()) - state.looked_up if is_any else set()
        if wanted:
            named = state.reusable or {}
            found_any = await self._reuse.find(run, wanted - named.keys(), trusted=_reads_named_files(state))
            state.reusable = {**found_any, **named}
            state.looked_up |= wanted

    async def _digest_files(self, run: RunObject, state: RunState) -> dict[str, str] | None:
        """Name of a step with `inputs` -> the digest of the files that they select; None before they are there.

        Where they can't be read, the steps are not reusable, and an Event says why.
        """
        source = run["spec"].get("source") or {}
        archive, cloned = source.get("archive"), state.status.current.get("source")
        digest = archive["digest"] if archive is not None else cloned.get("digest") if cloned else None
        if digest is None and source.get("git"):
            return None
        try:
            files = await self._files.load(run["metadata"]["namespace"], digest) if digest is not None else {}
            pipeline_file = archive.get("pipelineFile") if archive is not None else run["spec"].get("pipelineFile")
            return await asyncio.to_thread(digest_inputs, files, state.plan.input_globs, pipeline_file)
        except UnknownFilesError as error:
            self._recorder.record(run, "Warning", "InputsUnknown", f"steps with inputs can't be reused: {error}")
            return {}


def _reads_named_files(state: RunState) -> bool:
    """Whether all steps have `inputs`, so that no digest depends on what the run says of its source."""
    plan = state.plan
    return all(step.step.inputs is not None for step in plan.steps if step.name != plan.source_step)
