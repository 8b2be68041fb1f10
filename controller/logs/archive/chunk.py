"""Chunks of a log that is still being written, one object each: header, times, bytes.

Chunks let a new process continue where the old one stopped, and give readers what the ring buffer no longer has. They
are deleted when the whole log is stored.
"""

import struct
import sys
from array import array
from collections.abc import AsyncIterator, Iterable

from controller.logs.errors import BadArchiveError
from controller.logs.live.hub import ChunkRef
from controller.logs.model import Block
from controller.storage import ObjectStore

_HEADER = struct.Struct("<8sQQQQ")
_MAGIC = b"c8slog1\n"
TIME_BYTES = 8
MAX_CHUNK_BYTES = 256 * 1024 * 1024


def pack(block: Block, gaps: int) -> bytes:
    """Encodes a block as a chunk; `gaps` is their number up to its end."""
    header = _HEADER.pack(_MAGIC, block.first, len(block.times), len(block.data), gaps)
    return b"".join((header, encode_times(block.times), block.data))


def unpack(chunk: bytes, key: str) -> tuple[Block, int]:
    """Decodes a chunk: its block, and the number of gaps up to its end. Raises BadArchiveError."""
    if len(chunk) < _HEADER.size:
        raise BadArchiveError(f"the log chunk {key} is too short")
    magic, first, lines, size, gaps = _HEADER.unpack_from(chunk)
    text_at = _HEADER.size + lines * TIME_BYTES
    if magic != _MAGIC or len(chunk) != text_at + size:
        raise BadArchiveError(f"the log chunk {key} is malformed")
    return Block(first, decode_times(chunk[_HEADER.size : text_at]), chunk[text_at:]), gaps


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
        async for piece in store.read(each.key, start):
            yield piece


async def read_times(store: ObjectStore, chunks: Iterable[ChunkRef]) -> AsyncIterator[bytes]:
    """The times of all these chunks, encoded."""
    for each in chunks:
        end = _HEADER.size + (each.end - each.first) * TIME_BYTES
        async for piece in store.read(each.key, _HEADER.size, end):
            yield piece


async def read_chunk(store: ObjectStore, key: str) -> tuple[Block, int]:
    """Reads a stored chunk: its block, and the number of gaps up to its end."""
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
