"""Reads one file out of a tar.gz in the store, without unpacking the rest anywhere.

The archive streams through a thread that reads tar; what precedes the file is dropped. The manifest says how much there
can be: reading an archive that unpacks to more is aborted, so it can't be a decompression bomb.
"""

import asyncio
import io
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import IO, Any

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
        file = await asyncio.to_thread(_find_member, pulled, path, size, limit)
        left = size
        while left:
            piece = await asyncio.to_thread(_read_chunk, file, min(READ_BYTES, left))
            left -= len(piece)
            yield piece
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


def _find_member(pulled: "_IteratorFile", path: str, size: int, limit: int) -> IO[bytes]:
    try:
        archive = tarfile.open(fileobj=pulled, mode="r|gz", bufsize=READ_BYTES)  # noqa: SIM115 - a stream: there is nothing to close
        for member in archive:
            if member.offset_data > limit:
                raise BrokenArchiveError("the archive unpacks to more than its manifest says")
            if member.name.removeprefix("./") != path:
                continue
            file = archive.extractfile(member) if member.isreg() else None
            if file is None or member.size != size:
                raise BrokenArchiveError(f"{path} is not the file that the manifest names")
            return file
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BrokenArchiveError(f"the archive can't be read: {error}") from error
    raise BrokenArchiveError(f"{path} is in the manifest but not in the archive")


def _read_chunk(file: IO[bytes], size: int) -> bytes:
    try:
        piece = file.read(size)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BrokenArchiveError(f"the archive can't be read: {error}") from error
    if not piece:
        raise BrokenArchiveError("the archive ends within the file")
    return piece


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
        """At most `size` bytes, fewer only at the end."""
        found: list[bytes] = []
        have = 0
        while have < size:
            if self._at >= len(self._piece):
                self._piece, self._at = self._next(), 0
                if not self._piece:
                    break
            part = self._piece[self._at : self._at + size - have]
            self._at += len(part)
            have += len(part)
            found.append(part)
        return b"".join(found)

    def _next(self) -> bytes:
        asked: Coroutine[Any, Any, bytes] = _next_chunk(self._pieces)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result(READ_TIMEOUT)


async def _next_chunk(pieces: AsyncIterator[bytes]) -> bytes:
    return await anext(pieces, b"")
