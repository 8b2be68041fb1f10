"""The run's phase, reason, message, summary and condition, derived from its steps. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from controller.operator.decision.attempts import format_time
from controller.run_types.phases import FINAL_STEP_PHASES, RunPhase, StepPhase
from controller.run_types.reasons import RunReason, StepReason

Json = dict[str, Any]

_COUNTED_PHASES = ("succeeded", "failed", "skipped", "cancelled", "running", "pending")


def count_steps(statuses: Sequence[Json]) -> Json:
    """The `summary` of a run's status."""
    found = Counter(status["phase"].lower() for status in statuses)
    counts = {phase: found.get(phase, 0) for phase in _COUNTED_PHASES}
    return {"total": len(statuses), **counts, "progress": f"{_count_ended(statuses)}/{len(statuses)}"}


def _count_ended(statuses: Sequence[Json]) -> int:
    return sum(status["phase"] in FINAL_STEP_PHASES for status in statuses)


def running_status(
    base: Json,
    old: Json,
    statuses: Sequence[Json],
    now: datetime,
    *,
    blocking_runs: Sequence[str] = (),
    collecting_logs: bool = False,
) -> Json:
    """The status of a run that has not ended.

    Args:
        base: the fields that do not depend on the phase.
        blocking_runs: names of the runs of its concurrency group that it waits for.
        collecting_logs: whether all steps have ended and only their logs are waited for.
    """
    has_started = any(status.get("attempts") for status in statuses)
    summary = count_steps(statuses)
    phase = RunPhase.RUNNING if has_started else RunPhase.PENDING
    reason = RunReason.STEPS_RUNNING if has_started else RunReason.STARTING
    message = f"{_count_ended(statuses)} of {summary['total']} steps done, {summary['running']} running"
    if blocking_runs and not has_started:
        phase, reason = RunPhase.QUEUED, RunReason.CONCURRENCY_GROUP
        more = f" and {len(blocking_runs) - 1} more" if len(blocking_runs) > 1 else ""
        message = f"waits for run {blocking_runs[0]}{more}, of the same group {base['group']}"
    elif collecting_logs:
        reason = RunReason.COLLECTING_LOGS
        message = "all steps are over; their last lines are being stored"
    status = {**base, "phase": phase, "summary": summary, "reason": reason, "message": message}
    return _with_condition(status, old, "Unknown", now)


def finished_status(base: Json, old: Json, statuses: Sequence[Json], now: datetime) -> Json:
    """The status of a run whose last step has ended."""
    phase, reason, message = _final_verdict(statuses)
    ends = [status["completionTime"] for status in statuses if status.get("completionTime")]
    status = {
        **base,
        "phase": phase,
        "reason": reason,
        "message": message,
        "summary": count_steps(statuses),
        "completionTime": max(ends, default=format_time(now)),
    }
    return _with_condition(status, old, "True" if phase == RunPhase.SUCCEEDED else "False", now)


def _final_verdict(entries: Sequence[Json]) -> tuple[RunPhase, RunReason, str]:
    failed = [entry for entry in entries if entry["phase"] == StepPhase.FAILED and not entry["allowFailure"]]
    stopped = [entry for entry in entries if entry["phase"] == StepPhase.CANCELLED]
    late = [entry for entry in stopped if entry["reason"] == StepReason.TIMEOUT]
    if late:
        steps = "1 step was" if len(late) == 1 else f"{len(late)} steps were"
        return RunPhase.FAILED, RunReason.TIMEOUT, f"the run took too long; {steps} stopped"
    if failed:
        first = min(failed, key=lambda entry: entry.get("completionTime", ""))
        others = len(failed) - 1
        more = "" if not others else ", and 1 more step failed" if others == 1 else f", and {others} more steps failed"
        return (
            RunPhase.FAILED,
            RunReason.STEP_FAILED,
            f"{first['name']} failed: {first.get('message') or first['reason']}{more}",
        )
    if stopped:
        return (
            RunPhase.CANCELLED,
            RunReason.RUN_CANCELLED,
            f"cancelled; {len(stopped)} of {len(entries)} steps did not end by themselves",
        )
    skipped = sum(entry["phase"] == StepPhase.SKIPPED for entry in entries)
    allowed = sum(entry["phase"] == StepPhase.FAILED for entry in entries)
    succeeded = len(entries) - skipped - allowed
    tail = (f", {skipped} skipped" if skipped else "") + (f", {allowed} failed and may" if allowed else "")
    return RunPhase.SUCCEEDED, RunReason.SUCCEEDED, f"{succeeded} of {len(entries)} steps succeeded{tail}"


def _with_condition(status: Json, old: Json, value: str, now: datetime) -> Json:
    before = next((c for c in old.get("conditions") or [] if c["type"] == "Succeeded"), None)
    since = before["lastTransitionTime"] if before and before["status"] == value else format_time(now)
    condition = {
        "type": "Succeeded",
        "status": value,
        "reason": status["reason"],
        "message": status["message"],
        "lastTransitionTime": since,
        "observedGeneration": status["observedGeneration"],
    }
    return {**status, "conditions": [condition]}


def invalid_status(run: Json, why: str, now: datetime) -> Json:
    """The status of a run that can't be run at all."""
    base: Json = {
        "observedGeneration": run["metadata"].get("generation", 1),
        "startTime": format_time(now),
        "completionTime": format_time(now),
        "phase": RunPhase.FAILED,
        "reason": RunReason.INVALID_PIPELINE,
        "message": why,
        "steps": [],
        "summary": count_steps([]),
    }
    return _with_condition(base, run.get("status") or {}, "False", now)
