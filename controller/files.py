"""Atomic file writes: a reader sees the old content or the new one, never a part of it.

Imports no more than `os` and `pathlib`, because the command line writes files before it shows anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_MAX_PREFIX = 50
"""Characters of the target's name in the temporary one: in UTF-8 both fit the 255 bytes that file systems allow."""


def write_private(path: Path, data: bytes | str) -> None:
    """Replace a file by one of mode 0600, and create its missing folders (0700). Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(path, data, mode=0o600)


def write_atomic(path: Path, data: bytes | str, *, mode: int, durable: bool = False) -> None:
    """Replace a file in one step, with these permissions whatever the umask. Raises OSError.

    `durable`: the content is on the disk before the old file is given up, which survives a power failure and takes
    milliseconds.
    """
    with atomic_file(path, mode=mode, durable=durable) as file:
        file.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def atomic_file(path: Path, *, mode: int, durable: bool = False) -> Iterator[IO[bytes]]:
    """A file to write to that takes the place of `path` at the end of the block, and is removed if the block raises."""
    draft = path.with_name(f".{path.name[:_MAX_PREFIX]}.{os.urandom(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            os.fchmod(file.fileno(), mode)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def create_private(path: Path, data: bytes) -> bool:
    """Create a file of mode 0600 with all its content at once; False, and nothing changed, if the file exists."""
    draft = path.with_name(f".{path.name[:_MAX_PREFIX]}.{os.urandom(8).hex()}")
    write_atomic(draft, data, mode=0o600)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def default_mode() -> int:
    """The permissions of a new file that is not private: 0666 without the bits of the umask."""
    return 0o666 & ~current_umask()


def current_umask() -> int:
    """The permissions that new files and folders of this process do not get."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
