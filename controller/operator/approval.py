"""Runs of strangers' pull requests that wait until somebody with the right approves them. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from controller.operator.decision.run_status import invalid_status, with_condition
from controller.operator.run_object import status_of
from controller.provenance import is_approved
from controller.run_types.phases import RunPhase
from controller.run_types.reasons import RunReason

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject, RunStatus


def is_awaiting_approval(run: RunObject, key: bytes) -> bool:
    """Whether the run may not start yet: its connection asks for an approval, and the API has signed none."""
    trigger = run["spec"].get("trigger") or {}
    return bool(trigger.get("needsApproval")) and not is_approved(key, run)


def unapproved_status(run: RunObject, now: datetime, creator: str | None) -> RunStatus:
    """The status of a run that waits for an approval; final if it was cancelled meanwhile."""
    old = status_of(run)
    if run["spec"].get("cancel"):
        ended = invalid_status(run, RunReason.RUN_CANCELLED, "cancelled before it was approved", now, creator)
        return with_condition({**ended, "phase": RunPhase.CANCELLED}, old, "False", now)
    name, number = run["metadata"]["name"], (run["spec"].get("trigger") or {}).get("pullRequest")
    status: RunStatus = {
        "observedGeneration": run["metadata"].get("generation", 1),
        "phase": RunPhase.QUEUED,
        "reason": RunReason.APPROVAL_REQUIRED,
        "message": f"pull request #{number} comes from a fork; look at its changes, then `c8s approve {name}`",
        "steps": [],
    }
    if creator is not None:
        status["createdBy"] = creator
    return with_condition(status, old, "Unknown", now)
