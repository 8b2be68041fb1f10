"""What a run was at each moment of its past, and how it is played."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bundles import decoded
from workbench.bundle.playback import Playback
from workbench.bundle.timeline import run_at, status_changes, time_range

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "run", "steps"),
    [
        (0.5, "Pending", ["Pending", "Pending", "Pending"]),
        (1.3, "Running", ["Pending", "Pending", "Pending"]),
        (2.5, "Running", ["Running", "Pending", "Pending"]),
        (4.5, "Running", ["Succeeded", "Pending", "Pending"]),
        (5.5, "Running", ["Succeeded", "Running", "Pending"]),
        (7.0, "Running", ["Succeeded", "Pending", "Pending"]),
        (9.5, "Running", ["Succeeded", "Running", "Pending"]),
        (12.0, "Failed", ["Succeeded", "Failed", "Skipped"]),
        (99.0, "Failed", ["Succeeded", "Failed", "Skipped"]),
    ],
)
def test_phases_at_a_moment(seconds: float, run: str, steps: list[str]) -> None:
    found = run_at(decoded(), at(seconds))
    assert (found.phase, [step.phase for step in found.steps]) == (run, steps)


def test_nothing_of_the_future_is_shown() -> None:
    found = run_at(decoded(), at(7))
    check = found.steps[1]
    assert [(one.number, one.phase, one.exit_code) for one in check.attempts] == [(1, "Failed", 1)]
    assert (check.message, check.first_failure, check.completion_time) == (None, None, None)
    assert (found.message, found.completion_time, found.critical_path) == (None, None, ())
    assert (found.summary.succeeded, found.summary.failed, found.summary.pending) == (1, 0, 2)
    early = run_at(decoded(), at(2.5)).steps[0]
    assert (early.attempts[0].exit_code, early.attempts[0].log, early.artifact_count) == (None, None, 0)


@given(seconds=st.floats(-5, 20))
def test_times_that_are_shown_are_in_the_past(seconds: float) -> None:
    moment = max(min(at(seconds), at(12)), at(0))
    found = run_at(decoded(), moment)
    times = [found.start_time, found.completion_time]
    for step in found.steps:
        times += [step.start_time, step.completion_time]
        times += [time for one in step.attempts for time in vars(one.times).values()]
    assert all(time is None or time <= moment for time in times)


def test_a_run_without_times_is_not_played() -> None:
    bare = replace(decoded(), created_at=None, start_time=None, completion_time=None, steps=())
    assert (time_range(bare), status_changes(bare), Playback.of(bare)) == (None, [], None)
    assert run_at(bare, at(1)) is bare
    assert Playback.of(replace(decoded(), phase="Running")) is None


def playback(seconds: float = 12) -> Playback:
    run = decoded()
    found = Playback.of(replace(run, completion_time=at(seconds)))
    assert found is not None
    return found


def test_it_plays_to_its_end_and_stops() -> None:
    found = playback()
    found.advance(5.5)
    assert (found.seconds, found.state().steps[1].phase) == (5.5, "Running")
    found.toggle()
    found.advance(100)
    assert found.seconds == 5.5, "it pauses"
    found.toggle()
    found.advance(100)
    assert (found.at_end, found.playing, found.state()) == (True, False, found.run)
    found.toggle()
    assert (found.seconds, found.playing) == (0, True)


def test_it_is_scrubbed_by_parts_and_by_changes() -> None:
    found = playback()
    found.seek(-1)
    assert found.seconds == 0
    found.seek(1)
    assert found.seconds == pytest.approx(0.24)
    found.seek_change(1)
    assert (found.seconds, found.playing) == (1, False)
    seen = []
    while not found.at_end:
        found.seek_change(1)
        seen.append(found.seconds)
    assert seen == sorted(set(seen))
    found.seek_change(1)
    assert found.at_end
    found.seek_change(-1)
    assert found.seconds == seen[-2]


def test_a_long_run_is_played_fast_and_the_speed_has_bounds() -> None:
    assert playback(12).speed == 1
    assert playback(3600).speed == 128
    found = playback()
    for _ in range(30):
        found.change_speed(1)
    assert found.speed == 1024
    for _ in range(30):
        found.change_speed(-1)
    assert found.speed == 0.25
