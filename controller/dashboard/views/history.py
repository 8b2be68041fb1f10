"""A run that has ended, as it was at the moments of its past: what its page shows while it is played."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from controller.api.runs.pagination import parse_time
from controller.dashboard.views.run_rows import RunRow
from controller.dashboard.views.run_view import Clock, RunView, build_run
from controller.run_history import (
    MILESTONES,
    AttemptTimes,
    StepState,
    state_at,
    status_changes,
    step_state_at,
)
from controller.run_types.phases import FINAL_RUN_PHASES, StepPhase
from controller.run_types.summary import status_of

Json = Mapping[str, Any]

_LASTING = ("name", "slug", "matrixOf", "dependsOn", "allowFailure")
"""What a step has from its beginning."""
_RESULTS = ("phase", "reason", "message", "criticalPath", "conditions", "problems", "steps", "summary")
"""What a run has at its end only."""
_STEP = 0.01
"""Seconds between moments that can be asked for."""
MAX_VIEWS, MAX_HISTORIES = 16, 16


@dataclass(frozen=True)
class _Attempt:
    number: int
    times: AttemptTimes


@dataclass(frozen=True)
class _Step:
    slug: str
    phase: str
    start_time: datetime | None
    completion_time: datetime | None
    attempts: Sequence[_Attempt]


@dataclass(frozen=True)
class _Run:
    phase: str
    created_at: datetime | None
    start_time: datetime | None
    completion_time: datetime | None
    steps: Sequence[_Step]


class RunHistory:
    """A PipelineRun (or its summary) that has ended. Moments are seconds from its first change of status."""

    def __init__(self, run: Json, status: Json, times: _Run, changes: Sequence[datetime]) -> None:
        self._run, self._status, self._times, self._changes = run, status, times, changes
        self._first, self._last = changes[0], changes[-1]
        self._views: OrderedDict[float, RunView] = OrderedDict()

    @classmethod
    def of(cls, run: Json) -> RunHistory | None:
        """None for a run that has not ended, or has no times."""
        status, row = status_of(run), RunRow(run)
        if row.phase not in FINAL_RUN_PHASES:
            return None
        steps = tuple(map(_step_times, status.get("steps") or ()))
        times = _Run(row.phase, row.created_at, row.start_time, row.completion_time, steps)
        changes = sorted({change.time for change in status_changes(times)})
        return cls(run, status, times, changes) if changes and changes[0] < changes[-1] else None

    @property
    def steps(self) -> Sequence[Json]:
        """The status of its steps, as they are."""
        found: Sequence[Json] = self._status.get("steps") or ()
        return found

    @property
    def seconds(self) -> float:
        """How long it took, rounded up: at this moment all has happened."""
        return _round_up((self._last - self._first).total_seconds())

    @cached_property
    def changes(self) -> list[float]:
        """The moments of its changes of status, rounded up: at each, the change has happened."""
        return sorted({_round_up((time - self._first).total_seconds()) for time in self._changes})

    def clamp(self, at: float) -> float:
        """The moment, or the nearest one of the run."""
        return min(max(round(at, 2), 0.0), self.seconds)

    def time(self, at: float) -> datetime:
        """The time of a moment."""
        return self._first + timedelta(seconds=at)

    def previous_change(self, at: float) -> float | None:
        """The moment of the change before; None if there is none."""
        place = bisect_left(self.changes, at)
        return self.changes[place - 1] if place else None

    def next_change(self, at: float) -> float | None:
        """The moment of the change after; None if there is none."""
        place = bisect_right(self.changes, at)
        return self.changes[place] if place < len(self.changes) else None

    def view(self, at: float) -> RunView:
        """What the page shows at a moment. The bars are of the whole time of the run."""
        if at not in self._views:
            self._views[at] = self._view(at)
            while len(self._views) > MAX_VIEWS:
                self._views.popitem(last=False)
        return self._views[at]

    def _view(self, at: float) -> RunView:
        begin = RunRow(self._run).begin or self._first
        span = (min(begin, self._last), self._last)
        return build_run(self.run_at(at), Clock(max(self.time(at), span[0]), span))

    def run_at(self, at: float) -> Json:
        """The PipelineRun as it was; at the end, as it is."""
        moment = self.time(at)
        if moment >= self._last:
            return self._run
        state = state_at(self._times, moment)
        steps = [
            _step_at(step, step_state_at(times, moment), moment)
            for step, times in zip(self.steps, self._times.steps, strict=True)
        ]
        status = {key: value for key, value in self._status.items() if key not in _RESULTS}
        counts = Counter(str(step["phase"]).lower() for step in steps)
        status |= {"phase": state.phase, "steps": steps, "summary": {"total": len(steps), **counts}}
        if not state.has_started:
            status.pop("startTime", None)
        if not state.has_ended:
            status.pop("completionTime", None)
        return {"metadata": self._run["metadata"], "spec": self._run["spec"], "status": status}


class Histories:
    """The histories of the runs that were played last: who plays one asks for it several times a second."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], RunHistory | None] = OrderedDict()

    def of(self, run: Json) -> RunHistory | None:
        """See `RunHistory.of`."""
        meta = run["metadata"]
        key = (str(meta.get("uid")), str(meta.get("resourceVersion")))
        if key not in self._kept:
            self._kept[key] = RunHistory.of(run)
            while len(self._kept) > MAX_HISTORIES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _step_times(step: Json) -> _Step:
    attempts = []
    for each in step.get("attempts") or ():
        times = each.get("times") or {}
        found = {name: parse_time(str(times[name])) for name in MILESTONES if name in times}
        attempts.append(_Attempt(int(each.get("number") or 0), AttemptTimes(**found)))
    start, end = (parse_time(str(step.get(name) or "")) for name in ("startTime", "completionTime"))
    return _Step(str(step["slug"]), str(step.get("phase") or StepPhase.PENDING), start, end, tuple(attempts))


def _step_at(step: Json, state: StepState, moment: datetime) -> Json:
    if state.has_ended:
        return step
    found = {name: step[name] for name in _LASTING if name in step} | {"phase": state.phase}
    if state.has_started:
        found["startTime"] = step["startTime"]
    recorded = step.get("attempts") or ()
    found["attempts"] = [_attempt_at(recorded[each.index], moment, has_ended=each.has_ended) for each in state.attempts]
    return found


def _attempt_at(attempt: Json, moment: datetime, *, has_ended: bool) -> Json:
    times = {
        name: text
        for name, text in (attempt.get("times") or {}).items()
        if (time := parse_time(str(text))) is not None and time <= moment
    }
    if has_ended:
        return {**attempt, "times": times}
    kept = {name: attempt[name] for name in ("number", "jobName", "podName", "containers") if name in attempt}
    return {**kept, "phase": StepPhase.RUNNING, "times": times}


def _round_up(seconds: float) -> float:
    return round(math.ceil(round(seconds / _STEP, 6)) * _STEP, 2)
