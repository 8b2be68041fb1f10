"""Reads lines from wherever they are: the ring buffer, a chunk or the archived object."""

from collections.abc import AsyncGenerator

from controller.logs.archive.chunk import read_chunk
from controller.logs.archive.reader import ArchivedLog
from controller.logs.live.hub import ChunkRef, LiveLog, LiveLogs
from controller.logs.model import Block, Stream
from controller.storage import ObjectNotFoundError, ObjectStore

READ_BYTES = 128 * 1024


async def read_blocks(hub: LiveLogs, store: ObjectStore, stream: Stream, number: int) -> AsyncGenerator[Block, None]:
    """Reads the lines from a number on, up to the newest line at the time it is reached.

    A log may be archived while it is read; no line is repeated or skipped because of that.
    """
    while True:
        log = hub.get(stream)
        if log is None or (log.archived and number < log.ring.first):
            archived = await ArchivedLog.find(store, stream)
            if archived is not None:
                async for block in archived.blocks(after=number - 1):
                    yield block
            return
        if number >= log.ring.end:
            return
        found = await _next_block(log, store, number)
        if found is not None:
            number = found.end
            yield found
        elif not log.archived:
            # Neither in the ring nor in a chunk: the ring had to be emptied before the lines were stored.
            number = log.ring.first


async def _next_block(log: LiveLog, store: ObjectStore, number: int) -> Block | None:
    if number >= log.ring.first:
        return log.ring.since(number, READ_BYTES)
    chunk = _find_chunk(log, number)
    if chunk is None:
        return None
    try:
        stored = await read_chunk(store, chunk.key)
    except ObjectNotFoundError:
        # The log has been archived meanwhile, and its chunks deleted.
        return None
    return stored.block.from_line(number)


def _find_chunk(log: LiveLog, number: int) -> ChunkRef | None:
    return next((each for each in log.chunks if each.first <= number < each.end), None)
