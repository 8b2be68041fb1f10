"""File locks (flock): the kernel releases them when their process ends, so none is ever stale."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL = 0.02


class FileLock:
    """A lock on a file, which is never deleted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, *, shared: bool = False, wait: bool = False) -> bool:
        """Acquire the lock. Without `wait`, False if another process holds it."""
        # O_CLOEXEC is Python's default: a lock never leaks into a child that outlives us.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, operation if wait else operation | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def exists(self) -> bool:
        """Whether the file that this lock holds still has its name: it may be deleted, and even made again."""
        if self._descriptor is None:
            return False
        try:
            found = self._path.stat()
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self._descriptor))

    def held_elsewhere(self) -> bool:
        """Whether another process holds the lock now."""
        if self._descriptor is not None:
            return False
        if not self._path.exists():
            return False
        with self.try_lock() as mine:
            return not mine

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Hold the lock inside the `with` if it is free; yields whether it was."""
        taken = self.acquire()
        try:
            yield taken
        finally:
            if taken:
                self.release()

    async def wait(self, timeout: float) -> None:
        """Acquire the lock, waiting at most `timeout` seconds.

        Raises:
            TimeoutError: another process held it for the whole time.
        """
        # The supervisor uses this module without it.
        import asyncio

        async with asyncio.timeout(timeout):
            while not self.acquire():
                await asyncio.sleep(_POLL)
