"""Archives one stream in the object store: chunks while it is written, one object at the end.

A short log, the common case, is written once, when it ends; an empty one is only its summary. Nothing here waits or
retries: the collector decides when, and calls again after an error.
"""

import hashlib
from array import array
from collections.abc import AsyncIterator

from controller.logs.archive import chunk as chunks_format
from controller.logs.archive.summary import Failure, Summary, parse_summary
from controller.logs.live.hub import ChunkRef
from controller.logs.live.ring_buffer import join_blocks
from controller.logs.model import UNKNOWN_TIME, Block, CommandStart, Stream, parse_key
from controller.logs.timestamps import NANOSECONDS
from controller.storage import ObjectStore

MAX_SUMMARY_BYTES = 64 * 1024


class ArchiveWriter:
    """The archive of one stream. Call `open` first; then `add`, `write_chunk`, and `finish` at the end."""

    def __init__(self, store: ObjectStore, stream: Stream) -> None:
        self._store = store
        self._stream = stream
        self._digest = hashlib.sha256()
        self._pending: list[Block] = []
        self._next_chunk = 0
        self._text_written = False
        self.pending_bytes = 0
        self.chunks: list[ChunkRef] = []
        self.lines = 0
        self.size = 0
        self.gaps = 0
        self.commands: list[CommandStart] = []
        self.recent_times: array[int] = array("q")

    async def open(self) -> Summary | None:
        """Reads what is stored: the summary of a complete log; else None, with the chunks of a partial one loaded."""
        keys = [found.key async for found in self._store.list(self._stream.key)]
        parts = [(key, found[1]) for key in keys if (found := parse_key(key)) and found[0] == self._stream]
        stored = [key for key, part in parts if part.startswith(".d/")]
        if any(part == ".json" for _, part in parts):
            document = await self._store.get(self._stream.summary_key, limit=MAX_SUMMARY_BYTES)
            for key in stored:
                await self._store.delete(key)
            return parse_summary(document, self._stream.summary_key)
        for key in stored:
            await self._load_chunk(key)
        return None

    def add(self, block: Block) -> None:
        """Adds lines to the pending ones."""
        self._pending.append(block)
        self.pending_bytes += len(block.data)
        self._count(block)

    async def write_chunk(self, max_bytes: int) -> None:
        """Stores about `max_bytes` of the pending lines as a chunk. After an error nothing has changed."""
        taken, size = 0, 0
        while taken < len(self._pending) and size < max_bytes:
            size += len(self._pending[taken].data)
            taken += 1
        if not taken:
            return
        block = join_blocks(self._pending[:taken])
        key = self._stream.chunk_key(self._next_chunk)
        await self._store.put(key, chunks_format.pack(block, self.gaps, self._commands_until(block)))
        self._next_chunk += 1
        self.chunks.append(chunks_format.chunk_reference(key, block))
        del self._pending[:taken]
        self.pending_bytes -= size

    async def finish(self, failure: Failure | None, last_line: str | None) -> Summary:
        """Stores the whole log, its times and last its summary; then deletes the chunks. Can be repeated."""
        summary = Summary(
            self.lines, self.size, self._digest.hexdigest(), self.gaps, failure, last_line, tuple(self.commands)
        )
        if self.lines:
            whole = join_blocks(self._pending) if self._pending else None
            if self.chunks:
                await self._store.put(self._stream.key, self._text(whole))
                await self._store.put(self._stream.times_key, self._times(whole))
            elif whole is not None:
                await self._store.put(self._stream.key, whole.data)
                await self._store.put(self._stream.times_key, chunks_format.encode_times(whole.times))
        await self._store.put(self._stream.summary_key, summary.to_json())
        for each in self.chunks:
            await self._store.delete(each.key)
        self._pending = []
        self.pending_bytes = 0
        return summary

    def _commands_until(self, block: Block) -> list[CommandStart]:
        """The commands that started before the line after the block.

        Following resumes at the newest time in the chunks. A later command would hide the lines before it.
        """
        return [command for command in self.commands if command.line <= block.end]

    async def _load_chunk(self, key: str) -> None:
        """Loads a chunk that an earlier process wrote."""
        block, self.gaps, commands = await chunks_format.read_chunk(self._store, key)
        self.commands = list(commands)
        self.chunks.append(chunks_format.chunk_reference(key, block))
        self._next_chunk = int(key.rpartition("/")[2]) + 1
        self._count(block)
        # The lines of the marks are repeated as well.
        self._record_times(block.times + array("q", (command.time_ns for command in commands)))

    def _count(self, block: Block) -> None:
        self._digest.update(block.data)
        self.lines += len(block.times)
        self.size += len(block.data)

    def _record_times(self, times: "array[int]") -> None:
        """Keeps the times since the newest one's second began: following resumes there."""
        both = self.recent_times + times
        newest = max(both, default=UNKNOWN_TIME)
        begin = newest - newest % NANOSECONDS
        self.recent_times = array("q", [time for time in both if time >= begin and time != UNKNOWN_TIME])

    async def _text(self, rest: Block | None) -> AsyncIterator[bytes]:
        async for piece in chunks_format.read_data(self._store, self.chunks):
            yield piece
        if rest is not None:
            yield rest.data

    async def _times(self, rest: Block | None) -> AsyncIterator[bytes]:
        async for piece in chunks_format.read_times(self._store, self.chunks):
            yield piece
        if rest is not None:
            yield chunks_format.encode_times(rest.times)
