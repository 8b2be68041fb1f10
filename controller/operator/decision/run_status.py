"""The run's own phase, message, counts and condition, from those of its steps. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from controller.operator.decision.attempts import format_time

Json = dict[str, Any]

_FINAL = ("Succeeded", "Failed", "Skipped", "Cancelled")


def count_steps(entries: list[Json]) -> Json:
    found = Counter(entry["phase"].lower() for entry in entries)
    kinds = ("succeeded", "failed", "skipped", "cancelled", "running", "pending")
    done = sum(entry["phase"] in _FINAL for entry in entries)
    return {"total": len(entries), **{kind: found.get(kind, 0) for kind in kinds}, "progress": f"{done}/{len(entries)}"}


def running_status(base: Json, old: Json, entries: list[Json], now: datetime) -> Json:
    """The status of a run that goes on."""
    begun = any(entry.get("attempts") for entry in entries)
    summary = count_steps(entries)
    done = sum(entry["phase"] in _FINAL for entry in entries)
    status = {**base, "phase": "Running" if begun else "Pending", "summary": summary}
    ahead = status.pop("ahead", [])
    if ahead and not begun:
        words = f"waits for run {ahead[0]}" + (f" and {len(ahead) - 1} more" if len(ahead) > 1 else "")
        told = f"{words}, of the same group {base['group']}"
        status |= {"phase": "Queued", "reason": "ConcurrencyGroup", "message": told}
    elif status.pop("waitingForLogs", False):
        status |= {"reason": "CollectingLogs", "message": "all steps are over; their last lines are being stored"}
    else:
        message = f"{done} of {summary['total']} steps done, {summary['running']} running"
        status |= {"reason": "StepsRunning" if begun else "Starting", "message": message}
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
    return _with_condition(status, old, "True" if phase == "Succeeded" else "False", now)


def _final_verdict(entries: list[Json]) -> tuple[str, str, str]:
    failed = [entry for entry in entries if entry["phase"] == "Failed" and not entry["allowFailure"]]
    stopped = [entry for entry in entries if entry["phase"] == "Cancelled"]
    late = [entry for entry in stopped if entry["reason"] == "Timeout"]
    if late:
        steps = "1 step was" if len(late) == 1 else f"{len(late)} steps were"
        return "Failed", "Timeout", f"the run took too long; {steps} stopped"
    if failed:
        first = min(failed, key=lambda entry: entry.get("completionTime", ""))
        others = len(failed) - 1
        more = "" if not others else ", and 1 more step failed" if others == 1 else f", and {others} more steps failed"
        return "Failed", "StepFailed", f"{first['name']} failed: {first.get('message') or first['reason']}{more}"
    if stopped:
        return (
            "Cancelled",
            "RunCancelled",
            f"cancelled; {len(stopped)} of {len(entries)} steps did not end by themselves",
        )
    skipped = sum(entry["phase"] == "Skipped" for entry in entries)
    allowed = sum(entry["phase"] == "Failed" for entry in entries)
    succeeded = len(entries) - skipped - allowed
    tail = (f", {skipped} skipped" if skipped else "") + (f", {allowed} failed and may" if allowed else "")
    return "Succeeded", "Succeeded", f"{succeeded} of {len(entries)} steps succeeded{tail}"


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
        "phase": "Failed",
        "reason": "InvalidPipeline",
        "message": why,
        "steps": [],
        "summary": count_steps([]),
    }
    return _with_condition(base, run.get("status") or {}, "False", now)
