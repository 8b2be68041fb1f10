"""The status of a run, derived from the statuses of its steps.

Phase, reason, message, summary and condition; and of each step the failure excerpt and the queue times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller.operator.decision.attempts import format_time
from controller.operator.decision.observation import PipelineVerdict
from controller.operator.run_object import status_of
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.shell_commands import describe_command
from controller.run_types.phases import RunPhase, StepPhase
from controller.run_types.reasons import RunReason, StepReason

if TYPE_CHECKING:
    from controller.run_types.objects import Condition, RunObject, RunStatus, RunSummary, StepStatus

Json = dict[str, Any]


def count_steps(statuses: Sequence[StepStatus]) -> RunSummary:
    """The `summary` of a run's status."""
    found: dict[str, int] = {}
    for status in statuses:
        found[status["phase"]] = found.get(status["phase"], 0) + 1
    running, pending = found.get(StepPhase.RUNNING, 0), found.get(StepPhase.PENDING, 0)
    return {
        "total": len(statuses),
        "succeeded": found.get(StepPhase.SUCCEEDED, 0),
        "failed": found.get(StepPhase.FAILED, 0),
        "skipped": found.get(StepPhase.SKIPPED, 0),
        "cancelled": found.get(StepPhase.CANCELLED, 0),
        "running": running,
        "pending": pending,
        "progress": f"{len(statuses) - running - pending}/{len(statuses)}",
    }


def format_steps(count: int) -> str:
    """`1 step`, `2 steps`."""
    return "1 step" if count == 1 else f"{count} steps"


def running_status(
    base: RunStatus,
    old: RunStatus,
    statuses: Sequence[StepStatus],
    now: datetime,
    *,
    blocking_runs: Sequence[str] = (),
    collecting_logs: bool = False,
    reading_pipeline: bool = False,
    has_started: bool | None = None,
) -> RunStatus:
    """The status of a run that has not ended.

    Args:
        base: the fields that do not depend on the phase.
        blocking_runs: names of the runs of its concurrency group that it waits for.
        collecting_logs: whether all steps have ended and only their logs are waited for.
        reading_pipeline: whether the clone step has ended, and the pipeline file that it found is being checked.
        has_started: whether the run has started; by default if any step has.
    """
    if has_started is None:
        has_started = any(status.get("attempts") for status in statuses)
    summary = count_steps(statuses)
    phase = RunPhase.RUNNING if has_started else RunPhase.PENDING
    reason = RunReason.STEPS_RUNNING if has_started else RunReason.STARTING
    ended = summary["total"] - summary["running"] - summary["pending"]
    message = f"{ended} of {format_steps(summary['total'])} done, {summary['running']} running"
    if blocking_runs and not has_started:
        phase, reason = RunPhase.QUEUED, RunReason.CONCURRENCY_GROUP
        more = f" and {len(blocking_runs) - 1} more" if len(blocking_runs) > 1 else ""
        message = f"waits for run {blocking_runs[0]}{more}, of the same group {base['group']}"
    elif reading_pipeline:
        reason = RunReason.READING_PIPELINE
        message = "the repository is cloned; its pipeline file is being checked"
    elif collecting_logs:
        reason = RunReason.COLLECTING_LOGS
        message = "all steps are over; their last lines are being stored"
    status: RunStatus = {**base, "phase": phase, "summary": summary, "reason": reason, "message": message}
    return with_condition(status, old, "Unknown", now)


def finished_status(base: RunStatus, old: RunStatus, statuses: Sequence[StepStatus], now: datetime) -> RunStatus:
    """The status of a run whose last step has ended."""
    phase, reason, message = _final_verdict(statuses)
    ends = [status["completionTime"] for status in statuses if status.get("completionTime")]
    status: RunStatus = {
        **base,
        "phase": phase,
        "reason": reason,
        "message": message,
        "summary": count_steps(statuses),
        "completionTime": max(ends, default=format_time(now)),
    }
    return with_condition(status, old, "True" if phase == RunPhase.SUCCEEDED else "False", now)


def concluded_without_pipeline(final: RunStatus, old: RunStatus, verdict: PipelineVerdict, now: datetime) -> RunStatus:
    """The final status of a run whose clone step succeeded, and whose pipeline file starts nothing."""
    status: RunStatus = {**final, "phase": verdict.phase, "reason": verdict.reason, "message": verdict.message}
    if verdict.problems:
        status["problems"] = list(verdict.problems)
    return with_condition(status, old, "False", now)


def _final_verdict(entries: Sequence[StepStatus]) -> tuple[RunPhase, RunReason, str]:
    failed = [entry for entry in entries if entry["phase"] == StepPhase.FAILED and not entry["allowFailure"]]
    stopped = [entry for entry in entries if entry["phase"] == StepPhase.CANCELLED]
    late = [entry for entry in stopped if entry["reason"] == StepReason.TIMEOUT]
    if late:
        were = "was" if len(late) == 1 else "were"
        message = f"the run took too long; {format_steps(len(late))} {were} stopped or did not begin"
        return RunPhase.FAILED, RunReason.TIMEOUT, message
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
        were = "was" if len(stopped) == 1 else "were"
        message = f"cancelled; {len(stopped)} of {format_steps(len(entries))} {were} stopped"
        return RunPhase.CANCELLED, RunReason.RUN_CANCELLED, message
    skipped = sum(entry["phase"] == StepPhase.SKIPPED for entry in entries)
    allowed = sum(entry["phase"] == StepPhase.FAILED for entry in entries)
    succeeded = len(entries) - skipped - allowed
    tail = (f", {skipped} skipped" if skipped else "") + (f", {allowed} failed and may" if allowed else "")
    return RunPhase.SUCCEEDED, RunReason.SUCCEEDED, f"{succeeded} of {format_steps(len(entries))} succeeded{tail}"


def with_condition(status: RunStatus, old: RunStatus, value: str, now: datetime) -> RunStatus:
    """The status with the condition `Succeeded`, whose time is that of its last change."""
    before = next((c for c in old.get("conditions") or [] if c["type"] == "Succeeded"), None)
    since = before["lastTransitionTime"] if before and before["status"] == value else format_time(now)
    condition: Condition = {
        "type": "Succeeded",
        "status": value,
        "reason": status["reason"],
        "message": status["message"],
        "lastTransitionTime": since,
        "observedGeneration": status["observedGeneration"],
    }
    return {**status, "conditions": [condition]}


def invalid_status(run: RunObject, reason: RunReason, why: str, now: datetime, creator: str | None = None) -> RunStatus:
    """The status of a run that can't be run at all. `creator`: the user who created it, if that is proven."""
    base: RunStatus = {
        "observedGeneration": run["metadata"].get("generation", 1),
        "startTime": format_time(now),
        "completionTime": format_time(now),
        "phase": RunPhase.FAILED,
        "reason": reason,
        "message": why,
        "steps": [],
        "summary": count_steps([]),
    }
    if creator is not None:
        base["createdBy"] = creator
    return with_condition(base, status_of(run), "False", now)


_MAX_LINE_LENGTH = 300
_EXTERNAL_REASONS = (StepReason.TIMEOUT, StepReason.RUN_CANCELLED, StepReason.DISRUPTED)
"""Causes outside the step: what it wrote when it was stopped does not explain the failure."""


def add_failure_excerpt(entry: StepStatus, commands: Sequence[str]) -> StepStatus:
    """A failed step's status with the first line that looks like the cause, the command that failed, and the last line.

    Args:
        commands: the step's commands.
    """
    if entry["phase"] != StepPhase.FAILED or not entry.get("attempts"):
        return entry
    last = entry["attempts"][-1]
    log = last.get("log") or {}
    found: StepStatus = {**entry}
    if log.get("firstFailure") and last.get("reason") not in _EXTERNAL_REASONS:
        found["firstFailure"] = log["firstFailure"]
    line = str(log.get("lastLine") or "").strip()[:_MAX_LINE_LENGTH]
    # The only command of a step is not marked; one of several lines is a script, of which any line may have failed.
    is_script = len(commands) == 1 and len(commands[0].strip().splitlines()) > 1
    index = 0 if is_script else log.get("lastCommand", -1)
    command = describe_command(commands[index]) if 0 <= index < len(commands) else ""
    if last.get("reason") == StepReason.EXIT_CODE and entry.get("reason") == StepReason.EXIT_CODE:
        where = f" of `{command}`" if command else ""
        found["message"] = f"{last.get('message', '')}{where}" + (f": {line}" if line else "")
    return found


def add_queue_times(entries: Sequence[StepStatus], steps: Sequence[ExpandedStep], began: str) -> list[StepStatus]:
    """The statuses with `queued` in each attempt: from then on only limits held it back."""
    by_name = {entry["name"]: entry for entry in entries}
    return [
        _with_queue_times(entry, step, by_name, began) if entry.get("attempts") else entry
        for entry, step in zip(entries, steps, strict=True)
    ]


def _with_queue_times(
    entry: StepStatus, step: ExpandedStep, by_name: Mapping[str, StepStatus], began: str
) -> StepStatus:
    if all("queued" in attempt["times"] for attempt in entry["attempts"]):
        return entry
    ready = max((by_name[n].get("completionTime") or "" for n in step.depends_on if n in by_name), default="")
    moment, attempts = max(ready, began), []
    for attempt in entry["attempts"]:
        times = attempt["times"]
        if "queued" not in times:
            # Its own writer may have been slower than another one's clock.
            attempt = {**attempt, "times": {"queued": min(moment, times.get("created", moment)), **times}}
        attempts.append(attempt)
        moment = times.get("finished", moment)
    return {**entry, "attempts": attempts}


def critical_path(entries: Sequence[StepStatus], steps: Sequence[ExpandedStep]) -> list[str]:
    """The chain of steps that the run's end waited for, first to last: before each the latest of what it needs."""
    ran = {entry["name"]: entry for entry in entries if entry.get("attempts") and entry.get("completionTime")}
    needs = {step.name: step.depends_on for step in steps}
    chain: list[str] = []
    last = _latest(list(ran.values()))
    while last is not None:
        chain.append(last["name"])
        last = _latest([ran[name] for name in needs[last["name"]] if name in ran])
    return chain[::-1]


def _latest(entries: Sequence[StepStatus]) -> StepStatus | None:
    return max(entries, key=lambda entry: datetime.fromisoformat(entry["completionTime"]), default=None)
