"""What waits to be sent to one page. A page that reads slowly loses frames, and gets the whole screen later."""

from __future__ import annotations

import asyncio
from collections import deque

MAX_BYTES = 4 * 1024 * 1024


class OutboxClosedError(Exception):
    """Nothing more will come. `code` and `reason` are those of the WebSocket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Outbox:
    """Frames for one page: bytes for its terminal, text for its script."""

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._frames: deque[bytes | str] = deque()
        self._limit, self._size = limit, 0
        self._closed: OutboxClosedError | None = None
        self._ready = asyncio.Event()
        self.has_lost = False
        """Whether frames were dropped, so that the screen has to be drawn anew."""

    def put(self, frame: bytes | str) -> None:
        """Add a frame. Beyond the limit, what is for the terminal is dropped until `forget_lost`."""
        if isinstance(frame, bytes):
            if self.has_lost or self._size + len(frame) > self._limit:
                self._drop()
                return
            self._size += len(frame)
        self._frames.append(frame)
        self._ready.set()

    def _drop(self) -> None:
        self.has_lost = True
        self._frames = deque(frame for frame in self._frames if isinstance(frame, str))
        self._size = 0
        self._ready.set()

    def forget_lost(self) -> None:
        """Take frames again; the caller has asked for the whole screen."""
        self.has_lost = False

    def close(self, code: int, reason: str) -> None:
        """Let `get` raise OutboxClosedError after the frames that are there. Only the first call counts."""
        if self._closed is None:
            self._closed = OutboxClosedError(code, reason)
            self._ready.set()

    async def get(self) -> bytes | str | None:
        """The next frame, once there is one; None if there is nothing but a loss. Raises OutboxClosedError."""
        while True:
            if self._frames:
                frame = self._frames.popleft()
                self._size -= len(frame) if isinstance(frame, bytes) else 0
                return frame
            if self._closed is not None:
                raise self._closed
            if self.has_lost:
                return None
            self._ready.clear()
            await self._ready.wait()
