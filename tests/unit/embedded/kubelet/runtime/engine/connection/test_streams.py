"""Frames of an engine's streams, wherever they are cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from embedded.kubelet.runtime.engine.connection.streams import FrameDecoder


def frame(number: int, content: bytes) -> bytes:
    return bytes([number, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


@given(
    frames=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=8),
    cuts=st.lists(st.integers(0, 400), max_size=10),
)
def test_content_is_the_same_however_the_stream_is_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(frame(number, content) for number, content in frames)
    ends = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    decoder, found = FrameDecoder(), {1: b"", 2: b""}
    for start, end in itertools.pairwise(ends):
        for number, content in decoder.feed(stream[start:end]):
            found[number] += content
    wanted = {number: b"".join(content for each, content in frames if each == number) for number in (1, 2)}
    assert found == wanted
