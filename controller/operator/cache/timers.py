"""How long a run and its attempts have been going on, for their time limits.

While this process watches them, the monotonic clock counts: it stands still while the machine is suspended, as the
steps do, and nobody sets it. Only what passed before, under an earlier process, is taken from the wall clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from controller.operator.decision.observation import LOGS_TIMER, RUN_TIMER
from controller.run_types.keys import AttemptKey
from controller.run_types.phases import FINAL_STEP_PHASES
from controller.run_types.reasons import RunReason

if TYPE_CHECKING:
    from controller.run_types.objects import RunStatus

Json = dict[str, Any]


class RunTimers:
    """The timers of one run."""

    def __init__(self) -> None:
        self._started: dict[AttemptKey, tuple[timedelta, float]] = {}
        """What had passed when it was first observed, and when that was on the monotonic clock."""

    def observe(self, status: RunStatus, now: datetime, monotonic: float) -> None:
        """Start the timers of what has started, and drop those of attempts that have ended."""
        self._started = {
            key: self._started[key] if key in self._started else (_passed(since, now), monotonic)
            for key, since in _running_since(status)
        }

    def elapsed(self, monotonic: float) -> dict[AttemptKey, timedelta]:
        """How long each has been going on."""
        return {key: passed + timedelta(seconds=monotonic - since) for key, (passed, since) in self._started.items()}


def _passed(since: str | None, now: datetime) -> timedelta:
    return max(timedelta(0), now - datetime.fromisoformat(since)) if since is not None else timedelta(0)


def _running_since(status: RunStatus) -> Iterator[tuple[AttemptKey, str | None]]:
    """What is going on, with the time when it started; None for what starts with this process."""
    if status.get("startTime"):
        yield RUN_TIMER, status["startTime"]
    if status.get("reason") == RunReason.COLLECTING_LOGS:
        # Each process waits as long: logs of steps that ended while none was running are only collected now.
        yield LOGS_TIMER, None
    for step in status.get("steps") or []:
        if not step.get("attempts"):
            continue
        attempt = step["attempts"][-1]
        if attempt["phase"] not in FINAL_STEP_PHASES and attempt["times"].get("running"):
            yield AttemptKey(step["slug"], attempt["number"]), attempt["times"]["running"]
