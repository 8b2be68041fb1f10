"""What a run was at a moment of its past, from the times that its status has. Pure.

The status keeps a time for each milestone of each attempt: queued, created, scheduled, running, finished. From these
follow the phases of attempts, steps and the run at any time. What passed in between without a time of its own, such as
the reason why a pod was waiting, is in the events.

The workbench and the dashboard share it, each with its own type of a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Protocol

from controller.run_types.phases import FINAL_RUN_PHASES, RunPhase, StepPhase


@dataclass(frozen=True)
class AttemptTimes:
    """When an attempt reached each milestone; None until then, or if it has no such milestone."""

    queued: datetime | None = None
    """From then on, only limits delayed the attempt."""
    created: datetime | None = None
    scheduled: datetime | None = None
    pulling: datetime | None = None
    fetching: datetime | None = None
    running: datetime | None = None
    finished: datetime | None = None
    uploaded: datetime | None = None


MILESTONES = tuple(each.name for each in fields(AttemptTimes))


class Attempt(Protocol):
    """What is asked of an attempt."""

    @property
    def number(self) -> int: ...
    @property
    def times(self) -> AttemptTimes: ...


class Step(Protocol):
    """What is asked of a step."""

    @property
    def slug(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def start_time(self) -> datetime | None: ...
    @property
    def completion_time(self) -> datetime | None: ...
    @property
    def attempts(self) -> Sequence[Attempt]: ...


class Run(Protocol):
    """What is asked of a run."""

    @property
    def phase(self) -> str: ...
    @property
    def created_at(self) -> datetime | None: ...
    @property
    def start_time(self) -> datetime | None: ...
    @property
    def completion_time(self) -> datetime | None: ...
    @property
    def steps(self) -> Sequence[Step]: ...


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
        """For the document `timeline.json` of a run as a file."""
        found: dict[str, Any] = {"time": self.time.isoformat().replace("+00:00", "Z"), "kind": self.kind}
        optional = {"value": self.value or None, "step": self.step, "attempt": self.attempt}
        return found | {name: value for name, value in optional.items() if value is not None}


@dataclass(frozen=True)
class RunState:
    """A run at a moment. `has_started` and `has_ended` say which of its times have passed."""

    phase: str
    has_started: bool
    has_ended: bool


@dataclass(frozen=True)
class StepState:
    """A step at a moment. One that has ended is as it is recorded; `attempts` are those that there were."""

    phase: str
    has_started: bool = False
    has_ended: bool = False
    attempts: tuple[AttemptState, ...] = ()


@dataclass(frozen=True)
class AttemptState:
    """An attempt at a moment. One that has ended is as it is recorded, but for the times that were to come.

    Attributes:
        index: its place among the attempts of the step.
    """

    index: int
    has_ended: bool
    times: AttemptTimes


def status_changes(run: Run) -> list[StatusChange]:
    """Every change of status of a run that has a time, in order."""
    found = [*_run_changes(run), *(change for step in run.steps for change in _step_changes(step))]
    # At one time, a step ends before its run.
    return sorted(found, key=lambda change: (change.time, change.step is None and change.value in FINAL_RUN_PHASES))


def time_range(run: Run) -> tuple[datetime, datetime] | None:
    """From the creation of a run to its last change; None if no time is known."""
    times = [change.time for change in status_changes(run)]
    return (times[0], times[-1]) if times else None


def state_at(run: Run, moment: datetime) -> RunState:
    """The run without its steps."""
    started = run.start_time is not None and run.start_time <= moment
    ended = run.completion_time is not None and run.completion_time <= moment
    return RunState(run.phase if ended else RunPhase.RUNNING if started else RunPhase.PENDING, started, ended)


def step_state_at(step: Step, moment: datetime) -> StepState:
    """A step of it. One that has no times, because it never started, is pending until the run's end."""
    if step.completion_time is not None and step.completion_time <= moment:
        attempts = tuple(AttemptState(index, True, each.times) for index, each in enumerate(step.attempts))
        return StepState(step.phase, has_started=True, has_ended=True, attempts=attempts)
    reached = (_attempt_at(index, each, moment) for index, each in enumerate(step.attempts))
    attempts = tuple(state for state in reached if state is not None)
    return StepState(
        StepPhase.RUNNING if _is_running(step, attempts) else StepPhase.PENDING,
        has_started=step.start_time is not None and step.start_time <= moment,
        attempts=attempts,
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
        for name in MILESTONES:
            moment = getattr(attempt.times, name)
            if moment is not None:
                yield StatusChange(moment, name, "", step.slug, attempt.number)
        if attempt.times.running is not None:
            yield StatusChange(attempt.times.running, "phase", str(StepPhase.RUNNING), step.slug)
    if step.completion_time is not None:
        yield StatusChange(step.completion_time, "phase", step.phase, step.slug)


def _is_running(step: Step, attempts: Sequence[AttemptState]) -> bool:
    """Whether the container of the last of these attempts runs, or what it made is being uploaded."""
    if not attempts:
        return False
    if attempts[-1].has_ended:
        # Before the next attempt, the step waits.
        return len(attempts) == len(step.attempts)
    return attempts[-1].times.running is not None


def _attempt_at(index: int, attempt: Attempt, moment: datetime) -> AttemptState | None:
    """An attempt as it was; None before it was created."""
    reached = {
        name: time if (time := getattr(attempt.times, name)) is not None and time <= moment else None
        for name in MILESTONES
    }
    if not any(reached.values()):
        return None
    times = AttemptTimes(**reached)
    return AttemptState(index, times.finished is not None, times)
