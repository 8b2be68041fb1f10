"""What a reader of live logs is sent, and how often."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.api.frames import LINE_CHARACTERS, Outbox, Spacing

BUILD = ("build", 1, "step")
TEST = ("test", 1, "step")


def drained(outbox: Outbox) -> list[dict[str, Any]]:
    return [json.loads(outbox.take()) for _ in range(len(outbox))]


def lines(*texts: str) -> list[tuple[str | None, str]]:
    return [(None, text) for text in texts]


def test_lines_that_wait_become_one_frame() -> None:
    outbox = Outbox()
    outbox.put_lines(BUILD, 1, lines("a"))
    outbox.put_lines(TEST, 1, lines("x"))
    outbox.put_lines(BUILD, 2, lines("b", "c"))
    assert drained(outbox) == [
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


def test_a_gap_and_a_mark_begin_a_new_frame() -> None:
    outbox = Outbox()
    outbox.put_lines(BUILD, 1, lines("a"))
    outbox.put(BUILD, "missed", first=2, last=8)
    outbox.put_lines(BUILD, 9, lines("b"))
    outbox.put_lines(BUILD, 11, lines("c"))
    outbox.put(BUILD, "end", lines=11)
    outbox.put(None, "done")
    assert [frame["type"] for frame in drained(outbox)] == ["lines", "missed", "lines", "lines", "end", "done"]


def test_an_endless_line_is_cut_and_says_so() -> None:
    outbox = Outbox()
    outbox.put_lines(BUILD, 1, lines("x" * (LINE_CHARACTERS + 5)))
    [[_, text]] = drained(outbox)[0]["lines"]
    assert text.endswith("[5 more characters of this line are in the archive]")


def test_too_much_waiting_is_noticed_and_taking_makes_room() -> None:
    outbox = Outbox(frame_bytes=100, waiting_bytes=200)
    for number in range(1, 6):
        outbox.put_lines(BUILD, number, lines("x" * 50))
    assert outbox.full
    drained(outbox)
    assert not outbox.full


@given(st.lists(st.tuples(st.sampled_from([BUILD, TEST]), st.lists(st.text(max_size=30), max_size=5)), max_size=20))
def test_no_line_is_lost_repeated_or_out_of_order(batches: list[tuple[Any, list[str]]]) -> None:
    outbox = Outbox(frame_bytes=200)
    sent: dict[Any, list[str]] = {BUILD: [], TEST: []}
    for stream, texts in batches:
        outbox.put_lines(stream, len(sent[stream]) + 1, lines(*texts))
        sent[stream] += texts
    got: dict[Any, list[str]] = {BUILD: [], TEST: []}
    for frame in drained(outbox):
        stream = (frame["step"], frame["attempt"], frame["container"])
        assert frame["first"] == len(got[stream]) + 1
        got[stream] += [text for _, text in frame["lines"]]
    assert got == sent


def test_the_first_frame_goes_at_once() -> None:
    assert Spacing().wait(5.0) == 0.0


@given(st.lists(st.floats(0, 0.2), min_size=60, max_size=200))
def test_no_second_sees_more_than_fifty_frames(pauses: list[float]) -> None:
    spacing, now, sent = Spacing(), 0.0, []
    for pause in pauses:
        now += pause
        now += spacing.wait(now)
        sent.append(now)
    for start in sent:
        assert sum(start <= each < start + 0.999 for each in sent) <= 50


def test_what_many_streams_have_to_say_goes_out_as_one_message() -> None:
    outbox = Outbox()
    for number in range(30):
        outbox.put((f"s{number}", 1, "step"), "end", lines=0)
    message = json.loads(outbox.take_all())
    assert message["type"] == "batch"
    assert [frame["step"] for frame in message["frames"]] == [f"s{number}" for number in range(30)]
    assert len(outbox) == 0


def test_a_batch_is_no_larger_than_the_largest_frame() -> None:
    outbox = Outbox(frame_bytes=1000)
    for number in range(10):
        outbox.put_lines((f"s{number}", 1, "step"), 1, [(None, "x" * 300)])
    sizes = []
    while len(outbox):
        sizes.append(len(outbox.take_all()))
    assert len(sizes) > 1
    assert max(sizes) < 1500
