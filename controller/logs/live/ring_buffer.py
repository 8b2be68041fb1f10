"""The newest lines of one stream, in memory.

Bounded in bytes: the oldest blocks are dropped first, and readers find them in the archive's chunks. Blocks are shared
with the archive, not copied.
"""

from bisect import bisect_right
from collections import deque

from controller.logs.model import Block

MAX_STREAM_BYTES = 10 * 1024 * 1024
_BYTES_PER_LINE = 8


class RingBuffer:
    """Consecutive blocks. `first` is the number of the oldest line, `end` the number after the newest."""

    def __init__(self, first: int = 1, limit: int = MAX_STREAM_BYTES) -> None:
        self._blocks: deque[Block] = deque()
        self._limit = limit
        self.size = 0
        self.first = first
        self.end = first

    def append(self, block: Block) -> None:
        """Appends the block that follows the newest one; drops old ones when the buffer is full."""
        self._blocks.append(block)
        self.end = block.end
        self.size += _memory_size(block)
        while self.size > self._limit and len(self._blocks) > 1:
            self._drop_oldest()

    def halve(self) -> None:
        """Drops the older half, but never the newest block."""
        target = self.size // 2
        while self.size > target and len(self._blocks) > 1:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self._blocks.popleft()
        self.size -= _memory_size(oldest)
        self.first = oldest.end

    def since(self, number: int, limit: int) -> Block | None:
        """Lines from this number on, about `limit` bytes but at least one block; None if there are none.

        Begins with `first` if the buffer holds nothing older.
        """
        if number >= self.end:
            return None
        at = self._index(number)
        begin = self._blocks[at].from_line(number)
        chosen, size = [begin], len(begin.data)
        while size < limit and (at := at + 1) < len(self._blocks):
            chosen.append(self._blocks[at])
            size += len(self._blocks[at].data)
        return join_blocks(chosen)

    def tail(self, limit: int) -> list[Block]:
        """The newest blocks, about `limit` bytes in all."""
        chosen: list[Block] = []
        for block in reversed(self._blocks):
            if limit <= 0:
                break
            chosen.append(block)
            limit -= len(block.data)
        return chosen[::-1]

    def _index(self, number: int) -> int:
        if not self._blocks or number < self._blocks[0].end:
            return 0
        # Readers are nearly always at the newest blocks, where a deque is quick to index.
        if number >= self._blocks[-1].first:
            return len(self._blocks) - 1
        return bisect_right(self._blocks, number, key=lambda block: block.first) - 1


def join_blocks(blocks: list[Block]) -> Block:
    """Consecutive blocks as one."""
    if len(blocks) == 1:
        return blocks[0]
    times = blocks[0].times[:]
    for block in blocks[1:]:
        times.extend(block.times)
    return Block(blocks[0].first, times, b"".join(block.data for block in blocks))


def _memory_size(block: Block) -> int:
    return len(block.data) + _BYTES_PER_LINE * len(block.times)
