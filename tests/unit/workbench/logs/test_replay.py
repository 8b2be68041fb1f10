"""Logs as they were at a moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.client.models import CommandStarted, StreamKey
from workbench.logs.replay import ReplayedLogs

KEY = StreamKey("a", 1, "step")


def loaded(times: list[int | None]) -> ReplayedLogs:
    logs = ReplayedLogs()
    whole = logs.whole.stream(KEY)
    whole.log.append([f"line {n}" for n in range(len(times))], times)
    whole.live = whole.ended = True
    return logs


def test_lines_are_shown_up_to_a_moment() -> None:
    logs = loaded([10, 20, 20, 30])
    stream = logs.stream(KEY)
    assert (len(stream.log), logs.state(KEY)) == (0, "live")
    assert logs.go_to(20) == frozenset()
    assert stream.log.read(0, 10) == ["line 0", "line 1", "line 2"]
    assert stream.log.block(0) == (b"line 0\nline 1\nline 2\n", 3)
    assert stream.log.block(3) == (b"", 3)
    assert (stream.log.first_at(20), stream.log.first_at(25), stream.log.size) == (1, None, 21)
    logs.go_to(30)
    assert (len(stream.log), logs.state(KEY)) == (4, "complete")
    logs.close()


def test_a_log_that_gets_shorter_is_another_stream() -> None:
    logs = loaded([10, 20, 30])
    logs.go_to(30)
    before = logs.stream(KEY)
    assert logs.go_to(15) == {KEY}
    assert logs.stream(KEY) is not before
    assert len(logs.stream(KEY).log) == 1
    logs.close()


def test_commands_are_those_that_had_started() -> None:
    logs = loaded([10, 20])
    logs.whole.stream(KEY).add_commands([CommandStarted(KEY, n, n + 1, 10 * (n + 1), "make") for n in range(3)])
    logs.go_to(20)
    assert len(logs.stream(KEY).commands) == 2
    logs.go_to(None)
    assert (len(logs.stream(KEY).commands), len(logs.stream(KEY).log)) == (3, 2)
    logs.close()


def test_nothing_is_shown_of_a_log_that_is_being_loaded() -> None:
    logs = ReplayedLogs()
    logs.whole.stream(KEY).log.append(["a"], [1])
    logs.go_to(5)
    assert (len(logs.stream(KEY).log), logs.state(KEY), logs.is_complete(KEY)) == (0, "loading", False)
    logs.whole.stream(KEY).ended = True
    logs.loaded()
    assert (len(logs.stream(KEY).log), logs.is_complete(KEY)) == (1, True)
    logs.close()


@given(times=st.lists(st.one_of(st.none(), st.integers(0, 100)), max_size=30), moments=st.lists(st.integers(-5, 110)))
def test_each_moment_shows_the_same_however_it_is_reached(times: list[int | None], moments: list[int]) -> None:
    logs = loaded(times)
    for moment in moments:
        logs.go_to(moment)
        found = len(logs.stream(KEY).log)
        known = [time for time in times[:found] if time is not None]
        assert all(time <= moment for time in known)
        assert found == len(times) or max(time or -1 for time in times[: found + 1]) > moment
    logs.close()


@pytest.mark.parametrize("count", [0, 1])
def test_an_empty_log_is_complete(count: int) -> None:
    logs = loaded([5] * count)
    logs.go_to(None)
    assert (len(logs.stream(KEY).log), logs.state(KEY)) == (count, "complete")
    logs.close()
