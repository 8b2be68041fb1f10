"""Joins small chunks of a stream, so that the number of writes does not depend on the sender."""

from collections.abc import AsyncIterator


async def rechunk(data: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in chunks of at least `size` bytes, except for the last; none is empty."""
    pending: list[bytes] = []
    pending_size = 0
    async for chunk in data:
        pending.append(chunk)
        pending_size += len(chunk)
        if pending_size >= size:
            yield b"".join(pending)
            pending, pending_size = [], 0
    if pending_size:
        yield b"".join(pending)
