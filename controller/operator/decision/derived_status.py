"""Derived status fields: failure excerpts, queue times and the critical path.

All are functions of the steps' statuses, so that deriving them again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from controller.run_types.phases import StepPhase
from controller.run_types.reasons import StepReason

Json = dict[str, Any]

_MAX_LINE_LENGTH = 300
_EXTERNAL_REASONS = (StepReason.TIMEOUT, StepReason.RUN_CANCELLED, StepReason.DISRUPTED)
"""Causes outside the step: what it wrote when it was stopped does not explain the failure."""


def add_failure_excerpt(entry: Json) -> Json:
    """A failed step's status with the first line that looks like the cause, and its last line."""
    if entry["phase"] != StepPhase.FAILED or not entry.get("attempts"):
        return entry
    last = entry["attempts"][-1]
    log = last.get("log") or {}
    found = dict(entry)
    if log.get("firstFailure") and last.get("reason") not in _EXTERNAL_REASONS:
        found["firstFailure"] = log["firstFailure"]
    line = str(log.get("lastLine") or "").strip()[:_MAX_LINE_LENGTH]
    if line and last.get("reason") == StepReason.EXIT_CODE and entry.get("reason") == StepReason.EXIT_CODE:
        found["message"] = f"{last.get('message', '')}: {line}"
    return found


def add_queue_times(entries: Sequence[Json], began: str) -> list[Json]:
    """The statuses with `queued` in each attempt: from then on only limits held it back."""
    by_name = {entry["name"]: entry for entry in entries}
    return [_with_queue_times(entry, by_name, began) if entry.get("attempts") else entry for entry in entries]


def _with_queue_times(entry: Json, by_name: Mapping[str, Json], began: str) -> Json:
    if all("queued" in attempt["times"] for attempt in entry["attempts"]):
        return entry
    ready = max((by_name[n].get("completionTime") or "" for n in entry["dependsOn"] if n in by_name), default="")
    moment, attempts = max(ready, began), []
    for attempt in entry["attempts"]:
        times = attempt["times"]
        if "queued" not in times:
            # Its own writer may have been slower than another one's clock.
            attempt = {**attempt, "times": {"queued": min(moment, times.get("created", moment)), **times}}
        attempts.append(attempt)
        moment = times.get("finished", moment)
    return {**entry, "attempts": attempts}


def critical_path(entries: Sequence[Json]) -> list[str]:
    """The chain of steps that the run's end waited for, first to last: before each the latest of what it needs."""
    ran = {entry["name"]: entry for entry in entries if entry.get("attempts") and entry.get("completionTime")}
    chain: list[str] = []
    last = _latest(list(ran.values()))
    while last is not None:
        chain.append(last["name"])
        last = _latest([ran[name] for name in last["dependsOn"] if name in ran])
    return chain[::-1]


def _latest(entries: Sequence[Json]) -> Json | None:
    return max(entries, key=lambda entry: datetime.fromisoformat(entry["completionTime"]), default=None)
