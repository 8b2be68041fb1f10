"""Time limits: the monotonic clock while this process watches, the wall clock for what was before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from controller.operator.cache.timers import RunTimers
from controller.operator.decision.attempts import format_time
from controller.operator.decision.observation import LOGS_TIMER, RUN_TIMER
from controller.run_types.keys import AttemptKey
from tests.unit.controller.operator.world import T0

KEY = AttemptKey("a", 1)


def status(phase: str = "Running", **times: str) -> dict[str, Any]:
    attempt = {"number": 1, "phase": phase, "times": {"created": format_time(T0), **times}}
    return {"startTime": format_time(T0), "steps": [{"slug": "a", "attempts": [attempt]}]}


RUNNING = status(running=format_time(T0))


def test_what_this_process_sees_begin_counts_by_the_monotonic_clock() -> None:
    timers = RunTimers()
    timers.observe(RUNNING, T0, 100.0)
    # The machine sleeps for a day: the wall clock goes on.
    timers.observe(RUNNING, T0 + timedelta(days=1), 103.0)
    assert timers.elapsed(104.0) == {RUN_TIMER: timedelta(seconds=4), KEY: timedelta(seconds=4)}


def test_what_ran_under_an_earlier_process_counts_by_the_wall_clock() -> None:
    timers = RunTimers()
    timers.observe(RUNNING, T0 + timedelta(seconds=30), 5.0)
    assert timers.elapsed(7.0)[KEY] == timedelta(seconds=32)


def test_a_beginning_in_the_future_is_now() -> None:
    timers = RunTimers()
    timers.observe(RUNNING, T0 - timedelta(hours=1), 5.0)
    assert timers.elapsed(7.0)[KEY] == timedelta(seconds=2)


def test_an_attempt_has_no_timer_before_it_runs_and_after_its_end() -> None:
    timers = RunTimers()
    timers.observe(status(), T0, 0.0)
    assert KEY not in timers.elapsed(1.0)
    timers.observe(RUNNING, T0, 2.0)
    timers.observe(status("Succeeded", running=format_time(T0)), T0, 3.0)
    assert KEY not in timers.elapsed(4.0)


def test_waiting_for_logs_begins_anew_in_each_process() -> None:
    timers = RunTimers()
    timers.observe({**status("Succeeded"), "reason": "CollectingLogs"}, T0 + timedelta(hours=1), 10.0)
    assert timers.elapsed(12.0)[LOGS_TIMER] == timedelta(seconds=2)
