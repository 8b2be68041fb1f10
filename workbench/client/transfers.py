"""Files on this side: sent piece by piece, and received whole or not at all, whatever breaks meanwhile."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

CHUNK = 256 * 1024


@contextmanager
def atomic_download(target: Path) -> Iterator[IO[bytes]]:
    """A file to write to that takes the place of `target` at the end, and is gone if there is none."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


async def read_chunks(path: Path, progress: Callable[[int], None]) -> AsyncIterator[bytes]:
    """The bytes of a file; `progress` is told how many have been taken."""
    sent = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
            sent += len(chunk)
            progress(sent)
