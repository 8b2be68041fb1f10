"""One reader's WebSocket of log lines: reads from the hub as fast as the reader takes them, and no faster."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from starlette.websockets import WebSocketDisconnect

from controller.api.auth.authorize import Reauthorize
from controller.api.streaming.log_frames import FrameQueue, RateLimiter

NORMAL, GOING_AWAY, POLICY = 1000, 1001, 1008

Frame = TypeVar("Frame")


class Socket(Protocol):
    """The part of an open WebSocket that is used here."""

    async def receive(self) -> object:
        """The next message; `{"type": "websocket.disconnect"}` when the reader is gone."""
        ...

    async def send_text(self, data: str) -> None:
        """Sends a message; returns when there is room for the next one."""
        ...

    async def close(self, code: int = NORMAL, reason: str | None = None) -> None:
        """Closes the WebSocket."""
        ...


@dataclass
class LogSession(Generic[Frame]):
    """Sends frames from `source` through a queue (filled by `enqueue`) to the WebSocket, until either side ends.

    The reader is authorized again every `reauthorize_seconds`; `now` is monotonic.
    """

    socket: Socket
    source: AsyncIterator[Frame]
    enqueue: Callable[[FrameQueue, Frame], None]
    reauthorize: Reauthorize
    reauthorize_seconds: float
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    background: Callable[[], Coroutine[Any, Any, None]] | None = None
    on_sent: Callable[[int], None] = field(default=lambda size: None)
    _queue: FrameQueue = field(default_factory=FrameQueue)
    _rate_limiter: RateLimiter = field(default_factory=RateLimiter)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _writable: asyncio.Event = field(default_factory=asyncio.Event)
    _readable: asyncio.Event = field(default_factory=asyncio.Event)
    _end: int | None = None

    async def run(self) -> None:
        """Returns when all logs were sent, the reader is gone, or its permission is.

        Errors of the source are raised.
        """
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(each) for each in (self._feed(), self._listen(), self._reauthorize_periodically())
            ]
            if self.background is not None:
                others.append(group.create_task(self.background()))
            try:
                gone = await self._send()
            except WebSocketDisconnect:
                gone = True
            finally:
                for task in others:
                    task.cancel()
        if not gone:
            assert self._end is not None
            # The reader may leave while the end is being sent.
            with contextlib.suppress(WebSocketDisconnect):
                await self.socket.close(self._end)

    async def _send(self) -> bool:
        """Sends waiting frames at the allowed rate; True when the reader is gone."""
        while True:
            pause = self._rate_limiter.wait(self.now())
            if pause > 0:
                await self.sleep(pause)
            # Now the source may be read again. It is not read while nothing can be sent: waking at each of a
            # thousand lines a second would cost more than sending them.
            self._readable.set()
            while not len(self._queue):
                if self._end is not None:
                    return self._end == GOING_AWAY
                self._changed.clear()
                await self._changed.wait()
            # The source may have more at hand: it goes into the same message.
            await asyncio.sleep(0)
            if self._end in (GOING_AWAY, POLICY):
                return self._end == GOING_AWAY
            self._readable.clear()
            text = self._queue.take_all()
            self._writable.set()
            await self.socket.send_text(text)
            self.on_sent(len(text))

    async def _feed(self) -> None:
        async with contextlib.aclosing(_closable(self.source)) as source:
            async for frame in source:
                self.enqueue(self._queue, frame)
                self._changed.set()
                while self._queue.is_full:
                    self._writable.clear()
                    await self._writable.wait()
                await self._readable.wait()
        self._finish(NORMAL)

    async def _listen(self) -> None:
        """Waits for the reader to disconnect; its messages are ignored."""
        while True:
            message = await self.socket.receive()
            if isinstance(message, dict) and message.get("type") == "websocket.disconnect":
                self._finish(GOING_AWAY)
                return

    async def _reauthorize_periodically(self) -> None:
        while True:
            await self.sleep(self.reauthorize_seconds)
            if not await self.reauthorize():
                self._finish(POLICY)
                return

    def _finish(self, code: int) -> None:
        """Records why the session ends. A reader that is gone stays gone: nothing can be sent any more."""
        if self._end is None or (code != NORMAL and self._end != GOING_AWAY):
            self._end = code
        self._changed.set()


async def _closable(source: AsyncIterator[Frame]) -> AsyncGenerator[Frame, None]:
    """The source as a generator whose end closes the source too."""
    try:
        async for each in source:
            yield each
    finally:
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()
