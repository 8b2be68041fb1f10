"""What the kubelet says of an attempt that has succeeded by the word of its own first process.

The step that follows has begun by then. The kubelet's verdict is the one that is recorded: if it is another one, the
attempt has failed, and what has not begun yet is skipped. What has begun goes on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from controller.operator.decision.observation import AttemptView
from controller.operator.decision.pod_verdict import evaluate_pod
from controller.operator.decision.pods.agent_report import NOTHING_REPORTED
from controller.operator.decision.pods.status import container_status, is_pod_finished
from controller.operator.names import STEP_CONTAINER
from controller.pipeline.model import Step
from controller.run_types.phases import StepPhase
from controller.run_types.reasons import StepReason

if TYPE_CHECKING:
    from controller.run_types.objects import AttemptStatus

Json = dict[str, Any]

CONFIRMATION_LIMIT = timedelta(seconds=60)
"""A container that goes on for so long after it has reported its end is stopped: its time limit no longer counts."""


def is_unconfirmed(attempt: AttemptStatus) -> bool:
    """Whether an attempt has succeeded by its own word alone."""
    return attempt.get("unconfirmed", False)


def confirm(attempt: AttemptStatus, view: AttemptView, step: Step) -> AttemptStatus:
    """The attempt as the kubelet sees it, once its container has ended; unchanged before."""
    if view.pod is None:
        # It was deleted: that says nothing about commands that had ended before.
        return _confirmed(attempt) if view.job is None and view.job_missing else attempt
    state = (container_status(view.pod, STEP_CONTAINER) or {}).get("state") or {}
    if "terminated" not in state:
        return _confirmed(attempt) if is_pod_finished(view.pod) else attempt
    limit = step.resources.memory if step.resources else None
    seen = evaluate_pod(replace(view, report=NOTHING_REPORTED), artifacts=False, memory_limit=limit)
    if seen.phase != StepPhase.FAILED or seen.reason == StepReason.DISRUPTED:
        return _confirmed(attempt)
    disputed: AttemptStatus = {
        **_confirmed(attempt),
        "phase": StepPhase.FAILED,
        "reason": seen.reason,
        "message": f"{seen.message}, although its first process reported exit code 0",
        "reportedExitCode": 0,
    }
    if seen.exit_code is not None:
        disputed["exitCode"] = seen.exit_code
    return disputed


def note_other_code(attempt: AttemptStatus, view: AttemptView) -> None:
    """Note the exit code that the first process of an ended attempt reported, if the kubelet reports another one."""
    code = view.report.code
    if code is not None and attempt.get("exitCode") not in (None, code):
        attempt["reportedExitCode"] = code


def _confirmed(attempt: AttemptStatus) -> AttemptStatus:
    confirmed: AttemptStatus = {**attempt}
    confirmed.pop("unconfirmed", None)
    return confirmed
