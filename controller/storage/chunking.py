"""Gathers a stream of small pieces into larger ones, so that a store does few writes whatever the sender does."""

from collections.abc import AsyncIterator


async def rechunk(data: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of at least `size` bytes; only the last one may be smaller, and none is empty."""
    waiting: list[bytes] = []
    waiting_size = 0
    async for piece in data:
        waiting.append(piece)
        waiting_size += len(piece)
        if waiting_size >= size:
            yield b"".join(waiting)
            waiting, waiting_size = [], 0
    if waiting_size:
        yield b"".join(waiting)
