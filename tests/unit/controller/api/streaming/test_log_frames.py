"""What a reader of live logs is sent, and how often."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.api.streaming.log_frames import MAX_LINE_CHARACTERS, TICK, FrameQueue, LineEncoder, RateLimiter

BUILD = ("build", 1, "step")
TEST = ("test", 1, "step")


def drain(queue: FrameQueue) -> list[dict[str, Any]]:
    return [json.loads(queue.take()) for _ in range(len(queue))]


def put_lines(queue: FrameQueue, stream: Any, first: int, *texts: str) -> None:
    encoder = LineEncoder(queue.frame_bytes)
    queue.put_lines(stream, encoder.encode("key", first, [(None, text) for text in texts]))


def test_lines_that_wait_become_one_frame() -> None:
    queue = FrameQueue()
    put_lines(queue, BUILD, 1, "a")
    put_lines(queue, TEST, 1, "x")
    put_lines(queue, BUILD, 2, "b", "c")
    assert drain(queue) == [
        {
            "type": "lines",
            "step": "build",
            "attempt": 1,
            "container": "step",
            "first": 1,
            "lines": [[None, "a"], [None, "b"], [None, "c"]],
        },
        {"type": "lines", "step": "test", "attempt": 1, "container": "step", "first": 1, "lines": [[None, "x"]]},
    ]


def test_state_of_an_unfinished_line_replaces_one_that_waits() -> None:
    queue = FrameQueue()
    put_lines(queue, BUILD, 1, "a")
    for percent in range(10):
        queue.put_partial(BUILD, line=2, time=None, text=f"{percent}%")
        queue.put_partial(TEST, line=1, time=7, text=f"{percent}%")
    put_lines(queue, BUILD, 2, "b")
    queue.put_partial(BUILD, line=3, time=None, text="c")
    frames = drain(queue)
    assert [(each["type"], each["step"], each.get("text")) for each in frames] == [
        ("lines", "build", None),
        ("partial", "build", "9%"),
        ("partial", "test", "9%"),
        ("lines", "build", None),
        ("partial", "build", "c"),
    ]
    assert frames[2] == {
        "type": "partial", "step": "test", "attempt": 1, "container": "step", "line": 1, "time": 7, "text": "9%"
    }  # fmt: skip


def test_a_gap_and_a_mark_begin_a_new_frame() -> None:
    queue = FrameQueue()
    put_lines(queue, BUILD, 1, "a")
    queue.put(BUILD, "missed", first=2, last=8)
    put_lines(queue, BUILD, 9, "b")
    put_lines(queue, BUILD, 11, "c")
    queue.put(BUILD, "end", lines=11)
    queue.put(None, "done")
    assert [frame["type"] for frame in drain(queue)] == ["lines", "missed", "lines", "lines", "end", "done"]


def test_an_endless_line_is_cut_and_says_so() -> None:
    queue = FrameQueue()
    put_lines(queue, BUILD, 1, "x" * (MAX_LINE_CHARACTERS + 5))
    [[_, text]] = drain(queue)[0]["lines"]
    assert text.endswith("[5 more characters of this line are in the archive]")


def test_too_much_waiting_is_noticed_and_taking_makes_room() -> None:
    queue = FrameQueue(frame_bytes=100, max_bytes=200)
    for number in range(1, 6):
        put_lines(queue, BUILD, number, "x" * 50)
    assert queue.is_full
    drain(queue)
    assert not queue.is_full


@given(st.lists(st.tuples(st.sampled_from([BUILD, TEST]), st.lists(st.text(max_size=30), max_size=5)), max_size=20))
def test_no_line_is_lost_repeated_or_out_of_order(batches: list[tuple[Any, list[str]]]) -> None:
    queue = FrameQueue(frame_bytes=200)
    sent: dict[Any, list[str]] = {BUILD: [], TEST: []}
    for stream, texts in batches:
        put_lines(queue, stream, len(sent[stream]) + 1, *texts)
        sent[stream] += texts
    got: dict[Any, list[str]] = {BUILD: [], TEST: []}
    for frame in drain(queue):
        stream = (frame["step"], frame["attempt"], frame["container"])
        assert frame["first"] == len(got[stream]) + 1
        got[stream] += [text for _, text in frame["lines"]]
    assert got == sent


def test_the_first_frame_goes_at_once() -> None:
    assert RateLimiter().wait(5.0) == 0.0


@given(st.lists(st.floats(0, 0.2), min_size=60, max_size=200))
def test_no_second_sees_more_than_fifty_frames(pauses: list[float]) -> None:
    spacing, now, sent = RateLimiter(), 0.0, []
    for pause in pauses:
        now += pause
        now += spacing.wait(now)
        sent.append(now)
    for start in sent:
        assert sum(start <= each < start + 0.999 for each in sent) <= 50


def test_frames_of_many_streams_are_batched() -> None:
    queue = FrameQueue()
    for number in range(30):
        queue.put((f"s{number}", 1, "step"), "end", lines=0)
    message = json.loads(queue.take_all())
    assert message["type"] == "batch"
    assert [frame["step"] for frame in message["frames"]] == [f"s{number}" for number in range(30)]
    assert len(queue) == 0


def test_a_batch_is_no_larger_than_the_largest_frame() -> None:
    queue = FrameQueue(frame_bytes=1000)
    for number in range(10):
        put_lines(queue, (f"s{number}", 1, "step"), 1, "x" * 300)
    sizes = []
    while len(queue):
        sizes.append(len(queue.take_all()))
    assert len(sizes) > 1
    assert max(sizes) < 1500


def test_readers_in_a_hurry_all_send_at_the_same_ticks() -> None:
    moments = set()
    for begin in (0.001, 0.007, 0.019):
        spacing, now = RateLimiter(), begin
        while spacing.wait(now) == 0.0:
            pass
        now = 0.5 + begin
        while (pause := spacing.wait(now)) == 0.0:
            pass
        moments.add(round((now + pause) / TICK, 6))
    assert len(moments) == 1


def test_lines_become_json_once_for_all_readers() -> None:
    encoder = LineEncoder()
    assert encoder.cached(("build", 1)) is None
    made = encoder.encode(("build", 1), 1, [(None, "a")])
    assert encoder.cached(("build", 1)) is made


def test_cache_size_is_limited() -> None:
    encoder = LineEncoder(cache_bytes=1000)
    for number in range(20):
        encoder.encode(number, 1, [(None, "x" * 100)])
    assert encoder.cached(0) is None
    assert encoder.cached(19) is not None


@given(st.lists(st.text(max_size=50), max_size=30), st.integers(1, 200))
def test_pieces_hold_every_line_and_fit_a_frame(texts: list[str], limit: int) -> None:
    pieces = LineEncoder(limit).encode("k", 7, [(None, text) for text in texts])
    found = [text for piece in pieces for _, text in json.loads(f"[{piece.body}]")]
    assert found == texts
    assert [piece.first for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]
    assert all(len(piece.body) <= limit or piece.end == piece.first + 1 for piece in pieces)
