"""Log frames as the readers of a WebSocket receive them."""

import json
from array import array
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.api.step_commands import CommandTexts, serialize_commands
from controller.api.streaming.log_frames import FrameQueue, LineEncoder
from controller.api.streaming.log_serializer import enqueue_frame, timed_texts
from controller.logs import (
    BacklogEnd,
    Block,
    CommandsStarted,
    CommandStart,
    Frame,
    Lines,
    MissedLines,
    RunEnd,
    Stream,
    StreamEnd,
)
from controller.logs.model import UNKNOWN_TIME

STREAM = Stream("ns", "run-1", "build", 1, "step")
NAMED = {"step": "build", "attempt": 1, "container": "step"}
NOON = 1_767_268_800 * 10**9
RUN = {
    "spec": {"pipeline": {"steps": [{"name": "Build", "commands": ["make", "\n  make test # \x1b[31m\nls"]}]}},
    "status": {"steps": [{"name": "Build (python=3)", "matrixOf": "Build", "slug": "build"}]},
}


def serialized(*frames: Frame) -> list[dict[str, Any]]:
    encoder, texts, queue = LineEncoder(), CommandTexts(lambda: RUN), FrameQueue()
    for frame in frames:
        enqueue_frame(encoder, texts, queue, frame)
    return [json.loads(queue.take()) for _ in range(len(queue))]


def test_each_frame_has_its_documented_form() -> None:
    block = Block(3, array("q", [NOON, UNKNOWN_TIME]), b"one\ntwo\n")
    frames = serialized(
        CommandsStarted(STREAM, (CommandStart(0, 1, UNKNOWN_TIME), CommandStart(1, 3, NOON))),
        Lines(STREAM, block),
        BacklogEnd(STREAM),
        MissedLines(STREAM, 5, 9),
        StreamEnd(STREAM, 9),
        RunEnd(),
    )
    assert frames == [
        {"type": "command", **NAMED, "index": 0, "line": 1, "time": None, "text": "make"},
        {"type": "command", **NAMED, "index": 1, "line": 3, "time": 1767268800000000, "text": "make test #  [31m …"},
        {"type": "lines", **NAMED, "first": 3, "lines": [[1767268800000000, "one"], [None, "two"]]},
        {"type": "live", **NAMED},
        {"type": "missed", **NAMED, "first": 5, "last": 9},
        {"type": "end", **NAMED, "lines": 9},
        {"type": "done"},
    ]


def test_last_command_ends_with_the_container_and_its_exit_code() -> None:
    starts = [CommandStart(0, 1, NOON), CommandStart(2, 4, NOON + 10**9)]
    ended = {"exitCode": 3, "times": {"finished": "2026-01-01T12:00:05Z"}}
    first = {"index": 0, "text": "make", "line": 1, "startTime": "2026-01-01T12:00:00.000000Z",
             "endTime": "2026-01-01T12:00:01.000000Z", "exitCode": 0}  # fmt: skip
    last = {"index": 2, "text": "", "line": 4, "startTime": "2026-01-01T12:00:01.000000Z"}
    assert serialize_commands(starts, ["make"], ended) == [
        first,
        last | {"endTime": "2026-01-01T12:00:05Z", "exitCode": 3},
    ]
    assert serialize_commands(starts, ["make"], None) == [first, last | {"endTime": None, "exitCode": None}]


@given(
    st.lists(st.binary(max_size=6).map(lambda text: text.replace(b"\n", b"")), min_size=1, max_size=5),
    st.booleans(),
)
def test_decoding_a_block_is_decoding_its_lines(texts: list[bytes], ends: bool) -> None:
    """Also where a line ends within a UTF-8 sequence."""
    if not ends and not texts[-1]:
        return
    block = Block(1, array("q", [NOON] * len(texts)), b"\n".join(texts) + (b"\n" if ends else b""))
    expected = [(NOON // 1000, line.text) for line in block.lines()]
    assert timed_texts(block) == expected
