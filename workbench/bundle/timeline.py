"""What a run looked like at a moment of its past. `controller.run_history` decides what follows from its times."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from controller.run_history import AttemptState, state_at, status_changes, step_state_at, time_range
from controller.run_types.phases import StepPhase
from workbench.client.models import Attempt, Run, Step, Summary

__all__ = ["run_at", "status_changes", "time_range"]


def run_at(run: Run, moment: datetime) -> Run:
    """The run as it was at a moment: phases, steps and attempts. It is the run itself from its last change on."""
    known = time_range(run)
    if known is None or moment >= known[1]:
        return run
    steps = tuple(_step_at(step, moment) for step in run.steps)
    state = state_at(run, moment)
    return replace(
        run,
        phase=state.phase,
        reason=run.reason if state.has_ended else None,
        message=run.message if state.has_ended else None,
        start_time=run.start_time if state.has_started else None,
        completion_time=run.completion_time if state.has_ended else None,
        summary=_count(steps),
        steps=steps,
        critical_path=run.critical_path if state.has_ended else (),
    )


def _step_at(step: Step, moment: datetime) -> Step:
    state = step_state_at(step, moment)
    if state.has_ended:
        return step
    return replace(
        step,
        phase=state.phase,
        reason=None,
        message=None,
        start_time=step.start_time if state.has_started else None,
        completion_time=None,
        artifact_count=0,
        attempts=tuple(_attempt_at(step.attempts[each.index], each) for each in state.attempts),
        reused=None,
        first_failure=None,
    )


def _attempt_at(attempt: Attempt, state: AttemptState) -> Attempt:
    if state.has_ended:
        return replace(attempt, times=state.times)
    return replace(
        attempt,
        phase=StepPhase.RUNNING,
        reason=None,
        message=None,
        exit_code=None,
        times=state.times,
        log=None,
        saved_workspace=None,
        tests=None,
        usage=None,
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
