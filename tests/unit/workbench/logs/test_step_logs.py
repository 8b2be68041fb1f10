"""The log of a step is assembled in order from any frames, or requested again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.client import BacklogEnd, Lines, LogLine, Missed, StreamEnd, StreamKey
from workbench.client.models import LinePart
from workbench.logs.step_logs import StepLogs, StoredLogLoader, parse_microseconds

KEY = StreamKey("build", 1, "step")


def lines(first: int, *texts: str) -> Lines:
    return Lines(KEY, first, tuple(LogLine(None, text) for text in texts))


@pytest.fixture
def logs() -> Iterator[StepLogs]:
    made = StepLogs()
    yield made
    made.close()


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 5)), max_size=12))
def test_overlaps_and_gaps_do_not_break_the_order(pieces: list[tuple[int, int]]) -> None:
    logs = StepLogs()
    try:
        for first, count in pieces:
            have = len(logs.stream(KEY).log)
            whole = logs.apply(lines(first, *(f"line {n}" for n in range(first, first + count))))
            assert whole == (first <= have + 1)
        log = logs.stream(KEY).log
        assert log.read(0, 99) == [f"line {n}" for n in range(1, len(log) + 1)]
    finally:
        logs.close()


def test_missed_lines_are_requested_again(logs: StepLogs) -> None:
    assert logs.apply(lines(1, "one"))
    assert not logs.apply(Missed(KEY, 2, 9))
    assert logs.cursors("build") == {KEY: 1}
    assert logs.cursors("other") == {}


def test_stream_is_complete_with_all_its_lines(logs: StepLogs) -> None:
    assert not logs.is_complete(KEY)
    logs.apply(lines(1, "one"))
    assert not logs.apply(StreamEnd(KEY, 2))
    assert not logs.is_complete(KEY)
    logs.apply(lines(2, "two"))
    assert logs.apply(StreamEnd(KEY, 2))
    assert logs.is_complete(KEY)


def test_unfinished_line_is_there_until_it_ends(logs: StepLogs) -> None:
    state, stream = LogLine(None, "50%"), logs.stream(KEY)
    assert logs.apply(LinePart(KEY, 1, state))
    assert stream.partial == state
    assert len(stream.log) == 0
    assert logs.apply(lines(1, "100%"))
    assert stream.partial is None
    logs.apply(LinePart(KEY, 1, state))
    assert stream.partial is None, "a state that came late"
    logs.apply(LinePart(KEY, 2, state))
    logs.apply(StreamEnd(KEY, 1))
    assert stream.partial is None


def test_backlog_end_marks_the_stream_live(logs: StepLogs) -> None:
    assert logs.apply(BacklogEnd(KEY))
    assert logs.stream(KEY).live


def test_invalid_times_are_unknown() -> None:
    assert parse_microseconds("1970-01-01T00:00:01.000002Z") == 1_000_002
    assert parse_microseconds("1970-01-01T01:00:00+01:00") == 0
    assert parse_microseconds("yesterday") is None
    assert parse_microseconds(None) is None


def test_stored_log_continues_after_known_lines(logs: StepLogs) -> None:
    logs.apply(lines(1, "one", "two"))
    download = StoredLogLoader(logs.stream(KEY), timestamps=True)
    download.feed(b"2026-01-01T00:00:00.000001Z one\n")
    download.feed(b"2026-01-01T00:00:00.000002Z two\n2026-01-01T00:00:01.000003Z three\n- four \n")
    download.finish()
    log = logs.stream(KEY).log
    assert log.read(0, 9) == ["one", "two", "three", "four "]
    assert log.time(2) == parse_microseconds("2026-01-01T00:00:01.000003Z")
    assert log.time(3) is None
    assert logs.is_complete(KEY)
