"""Runs of strangers' pull requests that wait until a user with the right approves them. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controller.operator.decision.run_status import invalid_status, with_condition
from controller.operator.run_object import status_of
from controller.provenance import is_approved
from controller.run_types.phases import RunPhase
from controller.run_types.reasons import RunReason

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject, RunStatus


WAIT = timedelta(days=7)
"""How long a run waits for its approval."""


def is_awaiting_approval(run: RunObject, key: bytes, now: datetime) -> bool:
    """Whether the run may not start yet: its connection asks for an approval, and the API has signed none lately."""
    trigger, status = run["spec"].get("trigger") or {}, status_of(run)
    if not trigger.get("needsApproval"):
        return False
    if status.get("phase") and status.get("reason") != RunReason.APPROVAL_REQUIRED:
        # A status is the operator's own: it was approved in time.
        return False
    return not is_approved(key, run, now.timestamp())


def time_left(run: RunObject, now: datetime) -> timedelta:
    """How long the run still waits for its approval; not positive once it has waited too long."""
    return datetime.fromisoformat(run["metadata"]["creationTimestamp"]) + WAIT - now


def unapproved_status(run: RunObject, now: datetime, creator: str | None) -> RunStatus:
    """The status of a run that waits for an approval; final if it was cancelled meanwhile, or has waited too long."""
    old = status_of(run)
    if run["spec"].get("cancel"):
        return _ended(run, RunReason.RUN_CANCELLED, "cancelled before it was approved", now, creator)
    if time_left(run, now) <= timedelta(0):
        message = f"nobody approved it within {WAIT.days} days"
        return _ended(run, RunReason.APPROVAL_EXPIRED, message, now, creator)
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


def _ended(run: RunObject, reason: RunReason, message: str, now: datetime, creator: str | None) -> RunStatus:
    status: RunStatus = {**invalid_status(run, reason, message, now, creator), "phase": RunPhase.CANCELLED}
    return with_condition(status, status_of(run), "False", now)
