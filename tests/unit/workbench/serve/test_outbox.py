"""Frames for a page that may read slowly."""

from __future__ import annotations

import pytest

from workbench.serve.outbox import Outbox, OutboxClosedError


async def test_frames_come_in_order() -> None:
    outbox = Outbox()
    for frame in (b"a", "text", b"b"):
        outbox.put(frame)
    assert [await outbox.get() for _ in range(3)] == [b"a", "text", b"b"]


async def test_a_slow_page_loses_what_is_drawn_and_nothing_else() -> None:
    outbox = Outbox(limit=10)
    outbox.put(b"12345678")
    outbox.put("text")
    outbox.put(b"123")
    outbox.put(b"4")
    assert outbox.has_lost
    assert await outbox.get() == "text"
    assert await outbox.get() is None, "the whole screen has to be drawn"
    outbox.forget_lost()
    outbox.put(b"all of it")
    assert await outbox.get() == b"all of it"


async def test_the_end_comes_after_the_frames() -> None:
    outbox = Outbox()
    outbox.put(b"last")
    outbox.close(4000, "closed")
    outbox.close(4001, "later")
    assert await outbox.get() == b"last"
    with pytest.raises(OutboxClosedError, match="closed") as closed:
        await outbox.get()
    assert closed.value.code == 4000
