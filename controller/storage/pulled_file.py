"""An object that streams from the store, as a file for a thread that reads it with blocking code."""

import asyncio
import io
from collections.abc import AsyncIterator, Coroutine
from typing import Any

READ_TIMEOUT = 60.0


class PulledFile(io.RawIOBase):
    """An async iterator of bytes as a file for a thread: each read asks the event loop for the next chunk."""

    def __init__(self, pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._pieces = pieces
        self._loop = loop
        self._piece = b""
        self._at = 0

    async def aclose(self) -> None:
        """End the reading of the object. Call it in the event loop, when no thread reads any more."""
        close = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none at the end."""
        if self._at >= len(self._piece):
            self._piece, self._at = self._next(), 0
        part = self._piece[self._at : self._at + size]
        self._at += len(part)
        return part

    def _next(self) -> bytes:
        asked: Coroutine[Any, Any, bytes] = _next_chunk(self._pieces)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result(READ_TIMEOUT)


async def _next_chunk(pieces: AsyncIterator[bytes]) -> bytes:
    return await anext(pieces, b"")
