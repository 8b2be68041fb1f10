"""Reads one file out of a tar.gz in the store, without unpacking the rest anywhere.

The archive streams through a thread that reads tar; what precedes the file is dropped. The manifest says how much there
can be: reading an archive that unpacks to more is aborted while it is unpacked, so it can't be a decompression bomb.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from controller.agent.archive.tar_stream import FILE, TarReader
from controller.agent.archive.unpack import GzipReader
from controller.agent.errors import AgentError
from controller.storage.errors import BrokenArchiveError
from controller.storage.pulled_file import PulledFile

READ_BYTES = 256 * 1024
# Headers, padding and the end of an archive, for each file.
TAR_OVERHEAD = 8 * 1024


async def read_file(pieces: AsyncIterator[bytes], path: str, size: int, limit: int) -> AsyncGenerator[bytes, None]:
    """The bytes of the file `path`, which must have `size` of them, out of a tar.gz.

    `limit` bounds what the whole may unpack to. Raises BrokenArchiveError.
    """
    pulled = PulledFile(pieces, asyncio.get_running_loop())
    try:
        content = await asyncio.to_thread(_find_member, pulled, path, size, limit)
        while piece := await asyncio.to_thread(_read_chunk, content):
            yield piece
    finally:
        await pulled.aclose()


def _find_member(pulled: PulledFile, path: str, size: int, limit: int) -> Iterator[bytes]:
    reader = TarReader(GzipReader(pulled, limit).read)
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
