"""The run's own phase, message, counts and condition, from those of its steps. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from controller.operator.decision.attempts import format_time
from controller.run_types.phases import FINAL_STEP_PHASES, RunPhase, StepPhase
from controller.run_types.reasons import RunReason, StepReason

Json = dict[str, Any]


def count_steps(entries: list[Json]) -> Json:
    found = Counter(entry["phase"].lower() for entry in entries)
    kinds = ("succeeded", "failed", "skipped", "cancelled", "running", "pending")
    done = sum(entry["phase"] in FINAL_STEP_PHASES for entry in entries)
    return {"total": len(entries), **{kind: found.get(kind, 0) for kind in kinds}, "progress": f"{done}/{len(entries)}"}


def running_status(base: Json, old: Json, entries: list[Json], now: datetime) -> Json:
    """The status of a run that goes on."""
    begun = any(entry.get("attempts") for entry in entries)
    summary = count_steps(entries)
    done = sum(entry["phase"] in FINAL_STEP_PHASES for entry in entries)
    status = {**base, "phase": RunPhase.RUNNING if begun else RunPhase.PENDING, "summary": summary}
    ahead = status.pop("ahead", [])
    if ahead and not begun:
        words = f"waits for run {ahead[0]}" + (f" and {len(ahead) - 1} more" if len(ahead) > 1 else "")
        told = f"{words}, of the same group {base['group']}"
        status |= {"phase": RunPhase.QUEUED, "reason": RunReason.CONCURRENCY_GROUP, "message": told}
    elif status.pop("waitingForLogs", False):
        status |= {
            "reason": RunReason.COLLECTING_LOGS,
            "message": "all steps are over; their last lines are being stored",
        }
    else:
        message = f"{done} of {summary['total']} steps done, {summary['running']} running"
        status |= {"reason": RunReason.STEPS_RUNNING if begun else RunReason.STARTING, "message": message}
    return _with_condition(status, old, "Unknown", now)


def finished_status(base: Json, old: Json, entries: list[Json], now: datetime) -> Json:
    """The status of a run whose last step is over."""
    phase, reason, message = _final_verdict(entries)
    ends = [entry["completionTime"] for entry in entries if entry.get("completionTime")]
    status = {
        **base,
        "phase": phase,
        "reason": reason,
        "message": message,
        "summary": count_steps(entries),
        "completionTime": max(ends, default=format_time(now)),
    }
    return _with_condition(status, old, "True" if phase == RunPhase.SUCCEEDED else "False", now)


def _final_verdict(entries: list[Json]) -> tuple[RunPhase, RunReason, str]:
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
