"""Files that are downloaded whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_download(target: Path) -> Iterator[IO[bytes]]:
    """A file to write to that replaces `target` at the end; after an error it is deleted."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
