"""How long a run, its attempts and its deletion have been going on, for time limits and back-off.

While this process watches them, the monotonic clock counts: it stands still while the machine is suspended, as the
steps do, and nobody sets it. Only what passed before, under an earlier process, is taken from the wall clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from controller.operator.decision.observation import LOGS_TIMER, RUN_TIMER, Timer, TimerKey
from controller.run_types.keys import RunKey
from controller.run_types.phases import FINAL_STEP_PHASES, StepPhase
from controller.run_types.reasons import RunReason

if TYPE_CHECKING:
    from controller.run_types.objects import RunStatus, StepStatus

Json = dict[str, Any]


class RunTimers:
    """The timers of one run that is not deleted."""

    def __init__(self) -> None:
        self._started: dict[TimerKey, tuple[timedelta, float]] = {}
        """What had passed when it was first observed, and when that was on the monotonic clock."""

    def observe(self, status: RunStatus, now: datetime, monotonic: float) -> None:
        """Start the timers of what has started, and drop those of what has ended."""
        self._started = {
            key: self._started[key] if key in self._started else (_passed(since, now), monotonic)
            for key, since in _running_since(status)
        }

    def elapsed(self, monotonic: float) -> dict[TimerKey, timedelta]:
        """How long each has been going on."""
        return {key: passed + timedelta(seconds=monotonic - since) for key, (passed, since) in self._started.items()}


class DeletionTimers:
    """How long runs have been waiting for their deletion."""

    def __init__(self) -> None:
        self._started: dict[RunKey, tuple[str, timedelta, float]] = {}
        """The uid, what had passed when the deletion was first observed, and when that was on the monotonic clock."""

    def elapsed(
        self, key: RunKey, uid: str, since: str, now: datetime, monotonic: float, *, watched: bool
    ) -> timedelta:
        """How long a run has been waiting; the first call for it starts its timer.

        Args:
            since: its deletionTimestamp.
            watched: whether this process knew the run before it was deleted, so that the deletion is new.
        """
        if key not in self._started or self._started[key][0] != uid:
            self._started[key] = uid, timedelta(0) if watched else _passed(since, now), monotonic
        _, passed, started = self._started[key]
        return passed + timedelta(seconds=monotonic - started)

    def forget(self, key: RunKey) -> None:
        """The run is gone, or has ended."""
        self._started.pop(key, None)


def _passed(since: str | None, now: datetime) -> timedelta:
    return max(timedelta(0), now - datetime.fromisoformat(since)) if since is not None else timedelta(0)


def _running_since(status: RunStatus) -> Iterator[tuple[TimerKey, str | None]]:
    """What is going on, with the time when it started; None for what starts with this process."""
    if status.get("startTime"):
        yield RUN_TIMER, status["startTime"]
    if status.get("reason") == RunReason.COLLECTING_LOGS:
        # Each process waits as long: logs of steps that ended while none was running are only collected now.
        yield LOGS_TIMER, None
    for step in status.get("steps") or []:
        if step.get("attempts"):
            yield from _timers_of_step(step)


def _timers_of_step(step: StepStatus) -> Iterator[tuple[TimerKey, str | None]]:
    """The timers of a step's last attempt, with the time when each started."""
    attempt, slug = step["attempts"][-1], step["slug"]
    number, times = attempt["number"], attempt["times"]
    if attempt["phase"] not in FINAL_STEP_PHASES:
        yield TimerKey(Timer.ATTEMPT_CREATED, slug, number), times.get("created")
        if times.get("running"):
            yield TimerKey(Timer.ATTEMPT_RUNNING, slug, number), times["running"]
    elif attempt.get("unconfirmed"):
        yield TimerKey(Timer.ATTEMPT_UNCONFIRMED, slug, number), times.get("finished")
    elif attempt["phase"] == StepPhase.FAILED and step["phase"] not in FINAL_STEP_PHASES:
        yield TimerKey(Timer.ATTEMPT_FAILED, slug, number), times.get("finished")
