"""One reader's WebSocket: what it is sent, in which rhythm, and when it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from controller.api.streaming.log_frames import FrameQueue, LineEncoder
from controller.api.streaming.log_session import NORMAL, POLICY, LogSession

BUILD = ("build", 1, "step")


class Reader:
    """A socket whose reader takes what is sent when `open` is set, and goes when `gone` is."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.gone = asyncio.Event()
        self.code: int | None = None

    async def receive(self) -> object:
        await self.gone.wait()
        return {"type": "websocket.disconnect"}

    async def send_text(self, data: str) -> None:
        self.got.append(json.loads(data))
        await self.open.wait()

    async def close(self, code: int = NORMAL, reason: str | None = None) -> None:
        self.code = code


async def always_authorized() -> bool:
    return True


def put(queue: FrameQueue, frame: tuple[int, str]) -> None:
    first, text = frame
    queue.put_lines(BUILD, LineEncoder().encode("key", first, [(None, text)]))


def session(reader: Reader, source: AsyncIterator[tuple[int, str]], **more: Any) -> LogSession[tuple[int, str]]:
    options: dict[str, Any] = {"reauthorize": always_authorized, "reauthorize_seconds": 60.0, **more}
    return LogSession(reader, source, put, **options)


async def lines(count: int, text: str = "x") -> AsyncIterator[tuple[int, str]]:
    for number in range(1, count + 1):
        yield number, text


async def test_everything_is_sent_and_the_socket_closed() -> None:
    reader = Reader()
    await session(reader, lines(1000)).run()
    assert sum(len(frame["lines"]) for frame in reader.got) == 1000
    assert reader.code == NORMAL


async def test_stalled_reader_stops_the_source() -> None:
    reader, taken = Reader(), 0

    async def endless() -> AsyncIterator[tuple[int, str]]:
        nonlocal taken
        while True:
            taken += 1
            yield taken, "x" * 10_000

    reader.open.clear()
    running = asyncio.ensure_future(session(reader, endless()).run())
    before = -1
    while taken != before:
        before = taken
        for _ in range(50):
            await asyncio.sleep(0)
    assert 50 < taken < 200
    reader.gone.set()
    reader.open.set()
    await asyncio.wait_for(running, 60)
    assert reader.code is None


async def test_a_reader_that_goes_ends_the_source() -> None:
    reader, ended = Reader(), asyncio.Event()

    async def silent() -> AsyncIterator[tuple[int, str]]:
        try:
            await asyncio.Event().wait()
            yield 1, "never"
        finally:
            ended.set()

    running = asyncio.ensure_future(session(reader, silent()).run())
    await asyncio.sleep(0)
    reader.gone.set()
    await asyncio.wait_for(running, 60)
    assert ended.is_set()


async def test_a_reader_whose_right_is_taken_is_closed() -> None:
    async def no() -> bool:
        return False

    async def silent() -> AsyncIterator[tuple[int, str]]:
        await asyncio.Event().wait()
        yield 1, "never"

    reader = Reader()
    await asyncio.wait_for(session(reader, silent(), reauthorize=no, reauthorize_seconds=0.0).run(), 60)
    assert reader.code == POLICY


async def test_an_error_of_the_source_is_raised() -> None:
    async def broken() -> AsyncIterator[tuple[int, str]]:
        yield 1, "x"
        raise OSError("the disk is gone")

    with pytest.raises(ExceptionGroup) as caught:
        await session(Reader(), broken()).run()
    assert caught.group_contains(OSError)


async def test_disconnect_during_close_is_not_an_error() -> None:
    class Leaving(Reader):
        async def close(self, code: int = NORMAL, reason: str | None = None) -> None:
            raise WebSocketDisconnect(1006)

    reader = Leaving()
    await session(reader, lines(3)).run()
    assert sum(len(frame["lines"]) for frame in reader.got) == 3
