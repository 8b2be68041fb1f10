"""Temporary files without a name for archives: the kernel removes them with the process, however that ends."""

# ruff: noqa: PTH108, PTH118, PTH123
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import os

from ..errors import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_CHUNK_SIZE = 256 * 1024


def scratch_file(folder: str) -> BinaryIO:
    """A new file without a name on the disk of the folder."""
    try:
        file = _open_unnamed(folder)
    except OSError as error:
        raise AgentError(f"can't create a file in {folder}: {error.strerror}") from None
    return open(file, "w+b")


def read_chunks(file: BinaryIO) -> Iterator[bytes]:
    """The content of a file from its start, for an upload that may be retried."""
    file.seek(0)
    while chunk := file.read(_CHUNK_SIZE):
        yield chunk


def _open_unnamed(folder: str) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC
    if hasattr(os, "O_TMPFILE"):
        try:
            return os.open(folder, flags | os.O_TMPFILE, 0o600)
        except OSError:
            # Not every file system supports it; a file that is removed at once works on all.
            pass
    path = os.path.join(folder, f".c8s-{os.getpid()}-{os.urandom(8).hex()}")
    file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)
    return file
