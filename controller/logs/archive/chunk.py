"""Chunks of a log that is still being written, one object each: header, times, bytes, starts of commands.

Chunks let a new process continue where the old one stopped, and give readers what the ring buffer no longer has. They
are deleted when the whole log is stored.
"""

import struct
import sys
from array import array
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

from controller.logs.errors import BadArchiveError
from controller.logs.live.hub import ChunkRef
from controller.logs.model import Block, CommandStart
from controller.storage import ObjectStore

_HEADER = struct.Struct("<8sQQQQ")
_MAGIC = b"c8slog1\n"
_COMMAND = struct.Struct("<qqq")
TIME_BYTES = 8
MAX_CHUNK_BYTES = 256 * 1024 * 1024


class StoredChunk(NamedTuple):
    """The content of a chunk: its block; the number of gaps, and the commands that have started, up to its end."""

    block: Block
    gaps: int
    commands: tuple[CommandStart, ...]


def pack(block: Block, gaps: int, commands: Iterable[CommandStart] = ()) -> bytes:
    """Encodes a chunk."""
    header = _HEADER.pack(_MAGIC, block.first, len(block.times), len(block.data), gaps)
    return b"".join((header, encode_times(block.times), block.data, *(_COMMAND.pack(*each) for each in commands)))


def unpack(chunk: bytes, key: str) -> StoredChunk:
    """Decodes a chunk. Raises BadArchiveError."""
    if len(chunk) < _HEADER.size:
        raise BadArchiveError(f"the log chunk {key} is too short")
    magic, first, lines, size, gaps = _HEADER.unpack_from(chunk)
    text_at = _HEADER.size + lines * TIME_BYTES
    # A chunk that ends after the output was written by a version that knew no commands.
    end = text_at + size
    if magic != _MAGIC or len(chunk) < end or (len(chunk) - end) % _COMMAND.size:
        raise BadArchiveError(f"the log chunk {key} is malformed")
    block = Block(first, decode_times(chunk[_HEADER.size : text_at]), chunk[text_at:end])
    return StoredChunk(block, gaps, tuple(CommandStart(*each) for each in _COMMAND.iter_unpack(chunk[end:])))


def chunk_reference(key: str, block: Block) -> ChunkRef:
    """The reference to a chunk that holds this block."""
    return ChunkRef(key, block.first, block.end, len(block.data))


async def read_header(store: ObjectStore, key: str) -> ChunkRef:
    """The reference to a stored chunk, from its header alone. Raises BadArchiveError."""
    header = b"".join([piece async for piece in store.read(key, 0, _HEADER.size)])
    if len(header) < _HEADER.size:
        raise BadArchiveError(f"the log chunk {key} is too short")
    magic, first, lines, size, _ = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise BadArchiveError(f"the log chunk {key} is malformed")
    return ChunkRef(key, first, first + lines, size)


async def read_data(store: ObjectStore, chunks: Iterable[ChunkRef]) -> AsyncIterator[bytes]:
    """The output of all these chunks."""
    for each in chunks:
        start = _HEADER.size + (each.end - each.first) * TIME_BYTES
        async for piece in store.read(each.key, start, start + each.size):
            yield piece


async def read_times(store: ObjectStore, chunks: Iterable[ChunkRef]) -> AsyncIterator[bytes]:
    """The times of all these chunks, encoded."""
    for each in chunks:
        end = _HEADER.size + (each.end - each.first) * TIME_BYTES
        async for piece in store.read(each.key, _HEADER.size, end):
            yield piece


async def read_chunk(store: ObjectStore, key: str) -> StoredChunk:
    """Reads a stored chunk. Raises BadArchiveError."""
    return unpack(await store.get(key, limit=MAX_CHUNK_BYTES), key)


def encode_times(values: "array[int]") -> bytes:
    """Encodes times: signed, 64 bits, little-endian."""
    return _to_little_endian(values).tobytes()


def decode_times(stored: bytes) -> "array[int]":
    """Decodes times."""
    values = array("q")
    values.frombytes(stored[: len(stored) // TIME_BYTES * TIME_BYTES])
    return _to_little_endian(values)


def _to_little_endian(values: "array[int]") -> "array[int]":
    if sys.byteorder == "little":
        return values
    swapped = values[:]
    swapped.byteswap()
    return swapped
