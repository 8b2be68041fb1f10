"""Refuses a run that would fail for secrets that do not exist, before anything is started."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from controller.pipeline.conditions import TriggerContext
from controller.run_types.phases import StepPhase
from workbench.cli.output.console import InputError
from workbench.client import Client
from workbench.client.errors import ForbiddenError
from workbench.client.run_request import RunRequest
from workbench.runs.missing_secrets import (
    missing_secrets,
    missing_secrets_text,
    missing_secrets_title,
    trigger_context,
    uses_secrets,
)
from workbench.submit.submit import PackedSource, RerunSubmission, RunSubmission


@dataclass(frozen=True)
class _PlannedRun:
    definition: Mapping[str, Any]
    context: TriggerContext
    reused: Collection[str] = ()
    """Names of steps that do not run again."""


async def require_secrets(
    client: Client, submission: RunSubmission | RerunSubmission, source: PackedSource | None, options: str
) -> None:
    """Check that the secrets of a run exist. `options` select the controller in the commands that set them.

    Raises:
        InputError: the run would fail for secrets that are missing.
        ClientError: the run to rerun does not exist, or the controller can't be reached.
    """
    if isinstance(submission, RerunSubmission):
        planned = await _rerun(client, submission)
    else:
        planned = _PlannedRun(submission.request.pipeline, _context(submission.request, source))
    if not uses_secrets(planned.definition):
        return
    try:
        stored = await client.secrets()
    except ForbiddenError:
        # Who may start runs need not be permitted to list secrets. The run reports a missing one at its step.
        return
    missing = missing_secrets(planned.definition, stored, planned.context, reused=planned.reused)
    if missing:
        raise InputError(
            f"{missing_secrets_title(missing)}; nothing was started. Set what is missing:\n"
            f"{missing_secrets_text(missing, options)}\n"
            "--allow-missing-secrets starts the run anyway"
        )


async def _rerun(client: Client, submission: RerunSubmission) -> _PlannedRun:
    run = await client.run(submission.run)
    succeeded = (step.name for step in run.steps if step.phase == StepPhase.SUCCEEDED)
    reused = frozenset(succeeded if submission.from_failed or submission.failed_tests else ())
    return _PlannedRun(run.definition or {}, trigger_context(run.event, run.branch), reused)


def _context(request: RunRequest, source: PackedSource | None) -> TriggerContext:
    commit = source.commit if source is not None else None
    branch = request.branch or (commit.branch if commit is not None else None)
    changed = tuple(request.changed_files) if request.changed_files is not None else None
    return trigger_context(request.event, branch, changed)
