"""One watch of a pipeline in a folder at a time: a second one would start each run twice."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.session.view_state import workbench_folder


class AlreadyWatchedError(Exception):
    """Another process watches the same; the message says which, and what to do."""


@contextmanager
def watch_lock(what: str, folder: Path | None = None) -> Iterator[None]:
    """Hold the lock of a watch. It is released when the process ends, in whatever way.

    Args:
        what: identifies the watch: its pipeline, folder and parameters.
        folder: the folder of locks; by default in the state folder of the user.

    Raises:
        AlreadyWatchedError: another process holds it.
        OSError: the lock can't be created.
    """
    place = folder if folder is not None else workbench_folder() / "watching"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = hashlib.sha256(os.fsencode(what)).hexdigest()[:32]
    descriptor = os.open(place / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            process = f"process {owner}" if owner.isdigit() else "another process"
            raise AlreadyWatchedError(
                f"{process} watches this pipeline already, and would start each run a second time. Use that one, or "
                "end it first"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
