"""An archive that is put together of pieces of a stored one and of new bytes, which the body of a request holds.

The body is one line of JSON, `{"pieces": [{"from": 0, "size": 100}, {"size": 20}]}`, followed by the bytes of the
pieces without `from`, in their order. Others are copied from the stored archive, from this offset. Nothing of it is
believed: the digest of the whole decides whether the result is stored.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.api.http.problems import ApiProblemError

if TYPE_CHECKING:
    from controller.storage import ObjectStore

MAX_HEAD_BYTES = 1024 * 1024
"""Of the line with the pieces."""
MAX_PIECES = 10_000


@dataclass(frozen=True)
class DeltaPiece:
    """A piece of an archive: `size` bytes of the stored one from `offset` on, or new ones where that is None."""

    offset: int | None
    size: int


class DeltaBody:
    """Reads the body of a request in chunks: first the pieces, then their bytes."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    async def read_pieces(self, base_size: int) -> tuple[DeltaPiece, ...]:
        """The pieces. Raises a problem for a line that is not one, or that names more than the stored archive has."""
        while b"\n" not in self._rest and len(self._rest) <= MAX_HEAD_BYTES:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        line, newline, self._rest = self._rest.partition(b"\n")
        if not newline or len(line) > MAX_HEAD_BYTES:
            raise _bad(f"its first line must end within {MAX_HEAD_BYTES} bytes")
        return parse_pieces(line, base_size)

    async def assemble(self, store: ObjectStore, base_key: str, pieces: Sequence[DeltaPiece]) -> AsyncIterator[bytes]:
        """The bytes of the whole archive. Raises a problem if the body has more or fewer bytes than its pieces."""
        for piece in pieces:
            if piece.offset is not None:
                async for chunk in store.read(base_key, piece.offset, piece.offset + piece.size):
                    yield chunk
                continue
            left = piece.size
            while left:
                if not self._rest:
                    self._rest = await anext(self._chunks, b"")
                    if not self._rest:
                        raise _bad("it ends in the middle of a piece")
                part, self._rest = self._rest[:left], self._rest[left:]
                left -= len(part)
                yield part
        if self._rest or await anext(self._chunks, None) is not None:
            raise _bad("it has more bytes than its pieces")


def parse_pieces(line: bytes, base_size: int) -> tuple[DeltaPiece, ...]:
    """The pieces in the first line of a body. Raises a problem for others."""
    try:
        found = json.loads(line)["pieces"]
        pieces = tuple(DeltaPiece(each.get("from"), each["size"]) for each in found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _bad('its first line must be like {"pieces": [{"from": 0, "size": 100}, {"size": 20}]}') from None
    if not 0 < len(pieces) <= MAX_PIECES:
        raise _bad(f"it must have 1 to {MAX_PIECES} pieces")
    for piece in pieces:
        numbers = (piece.size,) if piece.offset is None else (piece.offset, piece.size)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise _bad("offsets and sizes are whole numbers of bytes")
        if piece.offset is not None and piece.offset + piece.size > base_size:
            raise _bad(f"a piece is beyond the end of the stored archive, which has {base_size} bytes")
    return pieces


def _bad(reason: str) -> ApiProblemError:
    return ApiProblemError("bad-request", f"the body is not a list of pieces and their bytes: {reason}")
