"""Times of a fixed schedule in place of those of a run. Everything else of the run stays as it was."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

EPOCH = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
_BETWEEN_RUNS = timedelta(minutes=7)
_BETWEEN_LINES = timedelta(milliseconds=40)
_BETWEEN_COMMANDS = timedelta(milliseconds=400)
_BEFORE = {"queued": 0.0, "created": 0.1, "admitted": 0.1, "scheduled": 0.2, "pulling": 0.3, "fetching": 0.4}
"""Seconds from the start of an attempt."""
_RUNNING = 0.6
_AFTER = {"finished": 0.0, "uploaded": 0.2, "ended": 0.3}
"""Seconds from the end of its commands."""


def created_at(index: int) -> datetime:
    """When the run that was started as number `index`, from 0, was created."""
    return EPOCH + index * _BETWEEN_RUNS


def line_time(number: int) -> datetime:
    """When a log's line, counted from 1, was written."""
    return EPOCH + number * _BETWEEN_LINES


def command_time(index: int) -> datetime:
    """When the command with this index, from 0, was started."""
    return EPOCH + index * _BETWEEN_COMMANDS


def step_seconds(run: str, step: str) -> float:
    """How long the commands of a step take: between 0.8 and 3.1 seconds."""
    return 0.8 + zlib.crc32(f"{run}/{step}".encode()) % 24 / 10


def with_fixed_times(run: str, status: Mapping[str, Any], created: datetime) -> Json:
    """The status of a run that was created then. A time is given to what has one, so that nothing else seems to happen.

    What is measured is left out: CPU and memory, and the chain of steps that took longest.
    """
    return _Schedule(run, status, created).status()


class _Schedule:
    def __init__(self, run: str, status: Mapping[str, Any], created: datetime) -> None:
        self._run, self._status = run, status
        self._begin = created + timedelta(seconds=0.1)
        self._steps: Sequence[Mapping[str, Any]] = status.get("steps") or ()
        self._ends: dict[str, datetime] = {}

    def status(self) -> Json:
        steps = [self._step(step) for step in self._steps]
        end = max((self._end(step) for step in self._steps), default=self._begin)
        times = {"startTime": self._begin, "completionTime": end}
        conditions = [_replaced(each, {"lastTransitionTime": end}) for each in self._status.get("conditions") or ()]
        found = {name: value for name, value in self._status.items() if name != "criticalPath"}
        return _replaced(found, times) | ({"conditions": conditions} if conditions else {}) | {"steps": steps}

    def _step(self, step: Mapping[str, Any]) -> Json:
        attempts, at = [], self._start(step)
        for attempt in step.get("attempts") or ():
            finished = at + timedelta(seconds=_RUNNING + step_seconds(self._run, str(step["name"])))
            times = {name: at + timedelta(seconds=seconds) for name, seconds in _BEFORE.items()}
            times["running"] = at + timedelta(seconds=_RUNNING)
            times |= {name: finished + timedelta(seconds=seconds) for name, seconds in _AFTER.items()}
            known = {name: value for name, value in attempt.items() if name != "usage"}
            attempts.append(known | {"times": _replaced(attempt.get("times") or {}, times)})
            at = times["ended"]
        times = {"startTime": self._start(step), "completionTime": self._end(step)}
        return _replaced(step, times) | ({"attempts": attempts} if attempts else {})

    def _start(self, step: Mapping[str, Any]) -> datetime:
        """When the last of the steps that it depends on has ended."""
        needed = set(step.get("dependsOn") or ())
        before = (each for each in self._steps if each["name"] in needed or each.get("matrixOf") in needed)
        return max((self._end(each) for each in before), default=self._begin)

    def _end(self, step: Mapping[str, Any]) -> datetime:
        name = str(step["name"])
        if name not in self._ends:
            each = timedelta(seconds=_RUNNING + step_seconds(self._run, name) + _AFTER["ended"])
            self._ends[name] = self._start(step) + len(step.get("attempts") or ()) * each
        return self._ends[name]


def _replaced(values: Mapping[str, Any], times: Mapping[str, datetime]) -> Json:
    """The same fields; those that are times have the other ones."""
    return {name: _stamp(times[name]) if name in times and value else value for name, value in values.items()}


def _stamp(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")
