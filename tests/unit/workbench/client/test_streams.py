"""The pure parts of streams: event parser, log cursor and backoff."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from workbench.client.backoff import Backoff, LogCursor
from workbench.client.models import Lines, LogLine, Missed, StreamEnd, StreamKey
from workbench.client.sse import EventParser, ServerSentEvent

KEY = StreamKey("build", 1, "step")
_STREAM = b'id: 7\nevent: added\ndata: {"a":1}\n\n: heartbeat\n\nid: 9\r\nevent: deleted\r\ndata: x\r\ndata: y\r\n\r\n'


@given(st.lists(st.integers(0, len(_STREAM)), max_size=8))
def test_events_do_not_depend_on_chunk_boundaries(cuts: list[int]) -> None:
    boundaries = [0, *sorted(cuts), len(_STREAM)]
    parser = EventParser()
    events = [event for begin, end in pairwise(boundaries) for event in parser.feed(_STREAM[begin:end])]
    assert events == [ServerSentEvent("added", '{"a":1}', "7"), ServerSentEvent("deleted", "x\ny", "9")]


def test_empty_id_resets_the_resume_position() -> None:
    assert EventParser().feed(b"id: 7\n\nid:\nevent: restart\ndata: {}\n\n")[-1] == ServerSentEvent(
        "restart", "{}", None
    )


def _frame(first: int, last: int) -> Lines:
    return Lines(KEY, first, tuple(LogLine(None, str(number)) for number in range(first, last + 1)))


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 10)), max_size=20))
def test_resent_lines_are_dropped(spans: list[tuple[int, int]]) -> None:
    cursor = LogCursor()
    given: list[int] = []
    for first, length in spans:
        fresh = cursor.advance(_frame(first, first + length))
        if isinstance(fresh, Lines):
            numbers = list(range(fresh.first, fresh.first + len(fresh.lines)))
            assert [line.text for line in fresh.lines] == [str(number) for number in numbers]
            given += numbers
    assert given == sorted(set(given))


def test_cursor_resumes_after_the_last_line() -> None:
    cursor = LogCursor.after({KEY: 2})
    cursor.advance(_frame(1, 5))
    assert cursor.params() == [("after", "build:1:step:5")]


def test_missed_lines_are_reported_once() -> None:
    cursor = LogCursor()
    cursor.advance(_frame(1, 3))
    assert cursor.advance(Missed(KEY, 2, 9)) == Missed(KEY, 4, 9)
    assert cursor.advance(Missed(KEY, 2, 9)) is None
    assert cursor.params() == [("after", "build:1:step:9")]


def test_stream_end_is_reported_once() -> None:
    cursor = LogCursor()
    assert cursor.advance(StreamEnd(KEY, 3)) == StreamEnd(KEY, 3)
    assert cursor.advance(StreamEnd(KEY, 3)) is None


def test_backoff_delays_grow_up_to_a_limit() -> None:
    clock = FakeClock()
    backoff = Backoff(30.0, clock, lambda: 1.0)
    delays = [backoff.next_delay() for _ in range(8)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    clock.now = 30.0
    assert backoff.next_delay() is None


def test_stable_connection_resets_the_backoff() -> None:
    clock = FakeClock()
    backoff = Backoff(30.0, clock, lambda: 1.0)
    backoff.next_delay()
    backoff.connected()
    clock.now = 100.0
    assert backoff.next_delay() == 0.1


def test_flapping_connection_is_given_up() -> None:
    clock = FakeClock()
    backoff = Backoff(30.0, clock, lambda: 1.0)
    while (delay := backoff.next_delay()) is not None:
        clock.now += delay
        backoff.connected()
    assert 30 <= clock.now < 40
