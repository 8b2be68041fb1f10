"""Reads an archived log from the object store: all of it, the lines after a number, or its end.

Objects have no lines, so a line is found by counting newlines from the nearer end. Parts are read on demand; memory
does not grow with the log.
"""

import hashlib
import logging
from array import array
from collections.abc import AsyncGenerator

from controller.logs.archive.chunk import TIME_BYTES, decode_times
from controller.logs.archive.summary import Summary, parse_summary
from controller.logs.archive.writer import MAX_SUMMARY_BYTES
from controller.logs.errors import BadArchiveError
from controller.logs.model import UNKNOWN_TIME, Block, Stream, parse_key, run_prefix
from controller.storage import ObjectNotFoundError, ObjectStore

_log = logging.getLogger(__name__)
_BACKWARD_READ_BYTES = 256 * 1024


async def archived_streams(store: ObjectStore, namespace: str, run_uid: str) -> set[Stream]:
    """The streams of a run that are completely archived."""
    found: set[Stream] = set()
    async for each in store.list(run_prefix(namespace, run_uid)):
        parsed = parse_key(each.key)
        if parsed is not None and parsed[1] == ".json":
            found.add(parsed[0])
    return found


class ArchivedLog:
    """One archived log."""

    def __init__(self, store: ObjectStore, stream: Stream, summary: Summary) -> None:
        self._store = store
        self._stream = stream
        self.summary = summary

    @classmethod
    async def find(cls, store: ObjectStore, stream: Stream) -> "ArchivedLog | None":
        """The log, if it is completely archived."""
        try:
            document = await store.get(stream.summary_key, limit=MAX_SUMMARY_BYTES)
        except ObjectNotFoundError:
            return None
        try:
            return cls(store, stream, parse_summary(document, stream.summary_key))
        except BadArchiveError as error:
            _log.warning("%s; the log itself is read instead", error)
        summary = await _summarize(store, stream)
        return None if summary is None else cls(store, stream, summary)

    async def blocks(self, *, tail: int | None = None, after: int = 0) -> AsyncGenerator[Block, None]:
        """The last `tail` lines, the lines after a number, or all."""
        total = self.summary.lines
        number = max(after, 0) + 1
        if tail is not None:
            number = max(number, total - tail + 1)
        if number > total:
            return
        waiting: list[bytes] = []
        async for piece in self._store.read(self._stream.key, await self._line_offset(number)):
            cut = piece.rfind(b"\n") + 1
            waiting.append(piece[:cut] if cut else piece)
            if cut:
                block = await self._block(number, b"".join(waiting))
                yield block
                number = block.end
                waiting = [piece[cut:]]
        rest = b"".join(waiting)
        if rest:
            yield await self._block(number, rest)

    async def count_until(self, time_ns: int) -> int:
        """How many lines there were at a time: those before the first later one. All of a log without times."""
        count, rest = 0, b""
        try:
            async for piece in self._store.read(self._stream.times_key):
                data = rest + piece
                values = decode_times(data)
                rest = data[len(values) * TIME_BYTES :]
                if values and max(values) > time_ns:
                    return count + next(index for index, value in enumerate(values) if value > time_ns)
                count += len(values)
        except ObjectNotFoundError:
            pass
        return self.summary.lines

    async def _block(self, number: int, data: bytes) -> Block:
        lines = data.count(b"\n") + (not data.endswith(b"\n"))
        start = (number - 1) * TIME_BYTES
        times = array("q")
        try:
            stored = self._store.read(self._stream.times_key, start, start + lines * TIME_BYTES)
            times = decode_times(b"".join([piece async for piece in stored]))
        except ObjectNotFoundError:
            pass
        times.extend([UNKNOWN_TIME] * (lines - len(times)))
        return Block(number, times, data)

    async def _line_offset(self, number: int) -> int:
        """The offset at which a line begins."""
        if number <= 1:
            return 0
        if number - 1 <= self.summary.lines - number:
            return await self._offset_from_start(number - 1)
        return await self._offset_from_end(self.summary.lines - number + 1)

    async def _offset_from_start(self, newlines: int) -> int:
        """The offset after this many newlines."""
        position = 0
        async for piece in self._store.read(self._stream.key):
            here = piece.count(b"\n")
            if here >= newlines:
                return position + _offset_after(piece, newlines)
            newlines -= here
            position += len(piece)
        return position

    async def _offset_from_end(self, lines: int) -> int:
        """The offset at which the last `lines` lines begin."""
        end = self.summary.size
        # The newline at the very end closes the last line; it separates nothing.
        wanted = lines + 1 if await self._ends_in_newline() else lines
        while end > 0:
            start = max(0, end - _BACKWARD_READ_BYTES)
            piece = b"".join([each async for each in self._store.read(self._stream.key, start, end)])
            here = piece.count(b"\n")
            if here >= wanted:
                return start + _offset_after(piece, here - wanted + 1)
            wanted -= here
            end = start
        return 0

    async def _ends_in_newline(self) -> bool:
        size = self.summary.size
        last = [piece async for piece in self._store.read(self._stream.key, max(0, size - 1), size)]
        return b"".join(last) == b"\n"


async def _summarize(store: ObjectStore, stream: Stream) -> Summary | None:
    """The summary of a log whose stored one is damaged, from its text; None if that is not there either."""
    digest, lines, size, last = hashlib.sha256(), 0, 0, b"\n"
    try:
        async for piece in store.read(stream.key):
            digest.update(piece)
            lines += piece.count(b"\n")
            size += len(piece)
            last = piece[-1:] or last
    except ObjectNotFoundError:
        return None
    return Summary(lines + (last != b"\n"), size, digest.hexdigest())


def _offset_after(piece: bytes, newlines: int) -> int:
    """The offset after this many newlines of a part that has them."""
    position = 0
    for _ in range(newlines):
        position = piece.find(b"\n", position) + 1
    return position
