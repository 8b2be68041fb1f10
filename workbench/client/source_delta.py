"""An archive as the difference to one that the controller has: most of its pieces are in both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_MAX_PIECES = 5_000
_CHUNK = 256 * 1024


@dataclass(frozen=True)
class ArchivePiece:
    """Consecutive bytes of an archive, with their SHA-256 (hex)."""

    sha256: str
    offset: int
    size: int


@dataclass(frozen=True)
class SourceDelta:
    """How to make an archive of another one.

    Attributes:
        base: the digest of the other one (`sha256:…`).
        pieces: offset in the other one, or None for new bytes; size; and offset in the archive itself.
        listed: whether the controller is to list its files at once, for a run that follows.
    """

    base: str
    pieces: tuple[tuple[int | None, int, int], ...]
    listed: bool = False

    @property
    def head(self) -> bytes:
        """The first line of the request."""
        listed = [{"size": size} if start is None else {"from": start, "size": size} for start, size, _ in self.pieces]
        return json.dumps({"pieces": listed}, separators=(",", ":")).encode() + b"\n"

    @property
    def size(self) -> int:
        """Bytes of the request."""
        return len(self.head) + sum(size for start, size, _ in self.pieces if start is None)

    def read(self, archive: Path) -> Iterator[bytes]:
        """The request in chunks."""
        yield self.head
        with archive.open("rb") as file:
            for start, size, offset in self.pieces:
                if start is not None:
                    continue
                file.seek(offset)
                left = size
                while left and (chunk := file.read(min(left, _CHUNK))):
                    left -= len(chunk)
                    yield chunk


def find_delta(base: str, known: Mapping[str, ArchivePiece], pieces: Sequence[ArchivePiece]) -> SourceDelta | None:
    """The difference of an archive to `base`; None if that would not be less than half of it, or has too many pieces.

    Args:
        known: the pieces of the base by their SHA-256.
    """
    joined: list[tuple[int | None, int, int]] = []
    for piece in pieces:
        there = known.get(piece.sha256)
        start = there.offset if there is not None and there.size == piece.size else None
        last = joined[-1] if joined else None
        follows = last is not None and (
            (last[0] is None and start is None) or (last[0] is not None and start == last[0] + last[1])
        )
        if last is not None and follows:
            joined[-1] = (last[0], last[1] + piece.size, last[2])
        else:
            joined.append((start, piece.size, piece.offset))
    new = sum(size for start, size, _ in joined if start is None)
    total = sum(piece.size for piece in pieces)
    return SourceDelta(base, tuple(joined)) if len(joined) <= _MAX_PIECES and 2 * new < total else None
