"""Archives that are put together of a stored one and of new bytes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from controller.api.http.problems import ApiProblemError
from controller.api.http.source_delta import MAX_HEAD_BYTES, MAX_PIECES, DeltaBody, parse_pieces

STORED = b"0123456789"


class FakeStore:
    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        assert key == "base"
        for index in range(start, end if end is not None else len(STORED)):
            yield STORED[index : index + 1]


async def assemble(body: bytes, chunk: int = 3) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk):
            yield body[start : start + chunk]

    delta = DeltaBody(chunks())
    pieces = await delta.read_pieces(len(STORED))
    store: Any = FakeStore()
    return b"".join([part async for part in delta.assemble(store, "base", pieces)])


def body_of(pieces: Sequence[dict[str, int]], new: bytes = b"") -> bytes:
    return json.dumps({"pieces": list(pieces)}).encode() + b"\n" + new


@pytest.mark.parametrize("chunk", [1, 3, 1000])
async def test_pieces_are_copied_and_new_bytes_put_between(chunk: int) -> None:
    body = body_of([{"from": 2, "size": 3}, {"size": 4}, {"from": 0, "size": 2}, {"size": 1}], b"abc\nd")
    assert await assemble(body, chunk) == b"234abc\n01d"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "first line must end"),
        (b"x" * (MAX_HEAD_BYTES + 10), "first line must end"),
        (b"[]\n", "must be like"),
        (b'{"pieces": 3}\n', "must be like"),
        (b'{"pieces": [[1, 2]]}\n', "must be like"),
        (b'{"pieces": []}\n', "1 to"),
        (body_of([{"size": 0}] * (MAX_PIECES + 1)), "1 to"),
        (body_of([{"from": -1, "size": 1}]), "whole numbers"),
        (b'{"pieces": [{"from": 0.5, "size": 1}]}\n', "whole numbers"),
        (b'{"pieces": [{"from": true, "size": 1}]}\n', "whole numbers"),
        (body_of([{"from": 5, "size": 6}]), "beyond the end"),
        (body_of([{"size": 3}], b"ab"), "middle of a piece"),
        (body_of([{"size": 1}], b"ab"), "more bytes"),
        (b"[" * 100_000 + b"\n", "must be like"),
    ],
)
async def test_other_bodies_are_refused(body: bytes, words: str) -> None:
    with pytest.raises(ApiProblemError, match=words):
        await assemble(body, 50_000)


def test_pieces_up_to_the_end_are_allowed() -> None:
    assert len(parse_pieces(b'{"pieces": [{"from": 0, "size": 10}]}', 10)) == 1
