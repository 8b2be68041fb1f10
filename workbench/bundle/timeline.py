"""What a run looked like at a moment of its past, from the times that its status has.

The status keeps a time for each milestone of each attempt: queued, created, scheduled, running, finished. From these
follow the phases of attempts, steps and the run at any time. What passed in between without a time of its own, such as
the reason why a pod was waiting, is in the events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from controller.run_types.phases import FINAL_RUN_PHASES, FINAL_STEP_PHASES, RunPhase, StepPhase
from workbench.client.models import Attempt, AttemptTimes, Run, Step, Summary

_MILESTONES = ("queued", "created", "scheduled", "pulling", "fetching", "running", "finished", "uploaded")


@dataclass(frozen=True)
class StatusChange:
    """A change of status. Without `step` it is one of the run.

    Attributes:
        kind: `phase`, or the milestone that an attempt reached.
        value: the new phase; empty for a milestone.
    """

    time: datetime
    kind: str
    value: str = ""
    step: str | None = None
    attempt: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For the document `timeline.json`."""
        found: dict[str, Any] = {"time": self.time.isoformat().replace("+00:00", "Z"), "kind": self.kind}
        optional = {"value": self.value or None, "step": self.step, "attempt": self.attempt}
        return found | {name: value for name, value in optional.items() if value is not None}


def status_changes(run: Run) -> list[StatusChange]:
    """Every change of status of a run that has a time, in order."""
    found = [*_run_changes(run), *(change for step in run.steps for change in _step_changes(step))]
    # At one time, a step ends before its run.
    return sorted(found, key=lambda change: (change.time, change.step is None and change.value in FINAL_RUN_PHASES))


def time_range(run: Run) -> tuple[datetime, datetime] | None:
    """From the creation of a run to its last change; None if no time is known."""
    times = [change.time for change in status_changes(run)]
    return (times[0], times[-1]) if times else None


def run_at(run: Run, moment: datetime) -> Run:
    """The run as it was at a moment: phases, steps and attempts. It is the run itself from its last change on."""
    known = time_range(run)
    if known is None or moment >= known[1]:
        return run
    steps = tuple(_step_at(step, moment) for step in run.steps)
    started = run.start_time is not None and run.start_time <= moment
    ended = run.completion_time is not None and run.completion_time <= moment
    return replace(
        run,
        phase=run.phase if ended else RunPhase.RUNNING if started else RunPhase.PENDING,
        reason=run.reason if ended else None,
        message=run.message if ended else None,
        start_time=run.start_time if started else None,
        completion_time=run.completion_time if ended else None,
        summary=_count(steps),
        steps=steps,
        critical_path=run.critical_path if ended else (),
    )


def _run_changes(run: Run) -> Iterator[StatusChange]:
    for moment, phase in (
        (run.created_at, RunPhase.PENDING),
        (run.start_time, RunPhase.RUNNING),
        (run.completion_time, run.phase),
    ):
        if moment is not None:
            yield StatusChange(moment, "phase", str(phase))


def _step_changes(step: Step) -> Iterator[StatusChange]:
    for attempt in step.attempts:
        for name in _MILESTONES:
            moment = getattr(attempt.times, name)
            if moment is not None:
                yield StatusChange(moment, name, "", step.slug, attempt.number)
        if attempt.times.running is not None:
            yield StatusChange(attempt.times.running, "phase", str(StepPhase.RUNNING), step.slug)
    if step.completion_time is not None:
        yield StatusChange(step.completion_time, "phase", step.phase, step.slug)


def _step_at(step: Step, moment: datetime) -> Step:
    if step.completion_time is not None and step.completion_time <= moment:
        return step
    if step.completion_time is None and step.start_time is None and not step.attempts:
        return step if step.phase not in FINAL_STEP_PHASES else replace(step, phase=StepPhase.PENDING, reason=None)
    attempts = tuple(seen for each in step.attempts if (seen := _attempt_at(each, moment)) is not None)
    started = step.start_time is not None and step.start_time <= moment
    return replace(
        step,
        phase=StepPhase.RUNNING if _is_running(step, attempts) else StepPhase.PENDING,
        reason=None,
        message=None,
        start_time=step.start_time if started else None,
        completion_time=None,
        artifact_count=0,
        attempts=attempts,
        reused=None,
        first_failure=None,
    )


def _is_running(step: Step, attempts: tuple[Attempt, ...]) -> bool:
    """Whether the container of the last of these attempts runs, or what it made is being uploaded."""
    if not attempts:
        return False
    times = attempts[-1].times
    if times.finished is not None:
        # Before the next attempt, the step waits.
        return len(attempts) == len(step.attempts)
    return times.running is not None


def _attempt_at(attempt: Attempt, moment: datetime) -> Attempt | None:
    """An attempt as it was; None before it was created."""
    reached = {
        name: time if (time := getattr(attempt.times, name)) is not None and time <= moment else None
        for name in _MILESTONES
    }
    if not any(reached.values()):
        return None
    if reached["finished"] is not None:
        return replace(attempt, times=AttemptTimes(**reached))
    return replace(
        attempt,
        phase=StepPhase.RUNNING,
        reason=None,
        message=None,
        exit_code=None,
        times=AttemptTimes(**reached),
        log=None,
        saved_workspace=None,
        tests=None,
    )


def _count(steps: tuple[Step, ...]) -> Summary:
    def of(*phases: str) -> int:
        return sum(step.phase in phases for step in steps)

    return Summary(
        total=len(steps),
        succeeded=of(StepPhase.SUCCEEDED),
        failed=of(StepPhase.FAILED),
        skipped=of(StepPhase.SKIPPED),
        cancelled=of(StepPhase.CANCELLED),
        running=of(StepPhase.RUNNING),
        pending=of(StepPhase.PENDING),
    )
