"""File locks (flock): the kernel drops them with the process that held them, so none is ever stale."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL = 0.02


class FileLock:
    """A lock on a file. The file stays; only the lock on it comes and goes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, *, shared: bool = False, wait: bool = False) -> bool:
        """Take the lock. Without `wait`, False when somebody else has it."""
        # O_CLOEXEC is Python's default: a lock never leaks into a child that outlives us.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, how if wait else how | fcntl.LOCK_NB)
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

    def held_elsewhere(self) -> bool:
        """Whether another process has it now."""
        if self._descriptor is not None:
            return False
        if not self._path.exists():
            return False
        with self.try_lock() as mine:
            return not mine

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Take the lock for a moment if it is free; tells whether it was."""
        taken = self.acquire()
        try:
            yield taken
        finally:
            if taken:
                self.release()

    async def wait(self, timeout: float) -> None:
        """Take the lock, waiting for whoever has it.

        Raises:
            TimeoutError: somebody held it for all of `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            while not self.acquire():
                await asyncio.sleep(_POLL)
