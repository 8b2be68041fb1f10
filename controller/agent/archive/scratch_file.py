"""A file without a name, for an archive on its way: it goes when the agent does, however that ends."""

# ruff: noqa: PTH108, PTH118, PTH123
# (pathlib would cost more to import than the whole of this work takes.)

from __future__ import annotations

import os

from ..errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_CHUNK_SIZE = 256 * 1024


def scratch_file(folder: str) -> BinaryIO:
    """A new file on the folder's disk that nobody else can see."""
    try:
        file = _open_unnamed(folder)
    except OSError as problem:
        raise AgentError(f"there can be no file in {folder}: {problem.strerror}") from None
    return open(file, "w+b")


def read_chunks(file: BinaryIO) -> Iterator[bytes]:
    """All of a file from its beginning, to be sent; again as often as it is asked for."""
    file.seek(0)
    while piece := file.read(_CHUNK_SIZE):
        yield piece


def _open_unnamed(folder: str) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC
    if hasattr(os, "O_TMPFILE"):
        try:
            return os.open(folder, flags | os.O_TMPFILE, 0o600)
        except OSError:
            # Not every file system can do this: the long way works on all.
            pass
    path = os.path.join(folder, f".c8s-{os.getpid()}-{os.urandom(8).hex()}")
    file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)
    return file
