"""Reads one file out of a tar.gz in the store, without unpacking the rest anywhere.

The archive streams through a thread that reads tar; what precedes the file is dropped. The manifest says how much there
can be: reading an archive that unpacks to more is aborted while it is unpacked, so it can't be a decompression bomb.
"""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from typing import Any, BinaryIO, cast

from controller.agent.archive.tar_stream import FILE, TarReader
from controller.agent.archive.unpack import GzipReader
from controller.agent.errors import AgentError
from controller.storage.errors import BrokenArchiveError

READ_BYTES = 256 * 1024
READ_TIMEOUT = 60.0
# Headers, padding and the end of an archive, for each file.
TAR_OVERHEAD = 8 * 1024


async def read_file(pieces: AsyncIterator[bytes], path: str, size: int, limit: int) -> AsyncGenerator[bytes, None]:
    """The bytes of the file `path`, which must have `size` of them, out of a tar.gz.

    `limit` bounds what the whole may unpack to. Raises BrokenArchiveError.
    """
    pulled = _IteratorFile(pieces, asyncio.get_running_loop())
    try:
        content = await asyncio.to_thread(_find_member, pulled, path, size, limit)
        while piece := await asyncio.to_thread(_read_chunk, content):
            yield piece
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


def _find_member(pulled: "_IteratorFile", path: str, size: int, limit: int) -> Iterator[bytes]:
    reader = TarReader(GzipReader(cast(BinaryIO, pulled), limit).read)
    try:
        for member in reader.members():
            # The manifest lists names that are not UTF-8 with replacement characters.
            name = member.name.removeprefix("./").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            if name != path:
                continue
            if member.type != FILE or member.size != size:
                raise BrokenArchiveError(f"{path} is not the file that the manifest names")
            return reader.content(READ_BYTES)
    except (AgentError, OSError) as error:
        raise BrokenArchiveError(f"the archive can't be read: {error}") from error
    raise BrokenArchiveError(f"{path} is in the manifest but not in the archive")


def _read_chunk(content: Iterator[bytes]) -> bytes:
    try:
        return next(content, b"")
    except (AgentError, OSError) as error:
        raise BrokenArchiveError(f"the archive can't be read: {error}") from error


class _IteratorFile(io.RawIOBase):
    """An async iterator of bytes as a file for a thread: each read asks the event loop for the next chunk."""

    def __init__(self, pieces: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._pieces = pieces
        self._loop = loop
        self._piece = b""
        self._at = 0

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
