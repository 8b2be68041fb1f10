"""Time limits: the monotonic clock while this process watches, the wall clock for what was before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from controller.operator.cache.timers import DeletionTimers, RunTimers
from controller.operator.decision.attempts import format_time
from controller.operator.decision.observation import LOGS_TIMER, RUN_TIMER, Timer, TimerKey
from controller.run_types.keys import RunKey
from tests.unit.controller.operator.world import T0

KEY = TimerKey(Timer.ATTEMPT_RUNNING, "a", 1)
CREATED = TimerKey(Timer.ATTEMPT_CREATED, "a", 1)
FAILED = TimerKey(Timer.ATTEMPT_FAILED, "a", 1)
RUN = RunKey("team", "ci-1")


def status(phase: str = "Running", **times: str) -> dict[str, Any]:
    attempt = {"number": 1, "phase": phase, "times": {"created": format_time(T0), **times}}
    return {"startTime": format_time(T0), "steps": [{"slug": "a", "phase": "Running", "attempts": [attempt]}]}


RUNNING = status(running=format_time(T0))


def test_what_this_process_sees_begin_counts_by_the_monotonic_clock() -> None:
    timers = RunTimers()
    timers.observe(RUNNING, T0, 100.0)
    # The machine sleeps for a day: the wall clock goes on.
    timers.observe(RUNNING, T0 + timedelta(days=1), 103.0)
    assert timers.elapsed(104.0) == dict.fromkeys((RUN_TIMER, CREATED, KEY), timedelta(seconds=4))


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


def test_the_timer_of_a_back_off_ends_with_the_step() -> None:
    timers = RunTimers()
    failed = status("Failed", finished=format_time(T0))
    timers.observe(failed, T0 + timedelta(seconds=1), 10.0)
    assert timers.elapsed(12.0)[FAILED] == timedelta(seconds=3)
    timers.observe({**failed, "steps": [{**failed["steps"][0], "phase": "Failed"}]}, T0, 13.0)
    assert FAILED not in timers.elapsed(14.0)


def test_a_deletion_that_is_watched_counts_by_the_monotonic_clock() -> None:
    timers = DeletionTimers()
    late = T0 + timedelta(days=1)
    assert timers.elapsed(RUN, "u", T0.isoformat(), late, 5.0, watched=True) == timedelta(0)
    assert timers.elapsed(RUN, "u", T0.isoformat(), T0, 8.0, watched=True) == timedelta(seconds=3)


def test_a_deletion_before_a_restart_counts_by_the_wall_clock() -> None:
    timers = DeletionTimers()
    late = T0 + timedelta(seconds=60)
    assert timers.elapsed(RUN, "u", T0.isoformat(), late, 5.0, watched=False) == timedelta(seconds=60)
    # Known from now on: the clock may be set.
    assert timers.elapsed(RUN, "u", T0.isoformat(), T0, 8.0, watched=True) == timedelta(seconds=63)


def test_another_run_of_the_same_name_has_a_deletion_of_its_own() -> None:
    timers = DeletionTimers()
    timers.elapsed(RUN, "u", T0.isoformat(), T0, 5.0, watched=True)
    assert timers.elapsed(RUN, "v", T0.isoformat(), T0, 95.0, watched=True) == timedelta(0)
