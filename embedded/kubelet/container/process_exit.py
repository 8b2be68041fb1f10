"""Waiting for the end of a process without a thread: by its pidfd, or on macOS, where there are none, with one.

A process that is watched here is buried here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import threading
from collections.abc import Callable

from embedded.kubelet.container import orphans


class ProcessExit:
    """The end of a process that was just started.

    Args:
        before_burial: called when the process has ended and, with a pidfd, is still a zombie: its number can't be
            another process's yet.
    """

    def __init__(self, popen: subprocess.Popen[bytes], before_reap: Callable[[], None]) -> None:
        self._popen = popen
        self._before_reap = before_reap
        self._loop = asyncio.get_running_loop()
        self.code: asyncio.Future[int] = self._loop.create_future()
        """The exit code; 128 + signal when it was killed."""
        orphans.root_pids.add(popen.pid)
        self._watch()

    def _watch(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            pidfd = os.pidfd_open(self._popen.pid)
            self._loop.add_reader(pidfd, self._readable, pidfd)
            return
        threading.Thread(target=self._wait_in_thread, name=f"wait-{self._popen.pid}", daemon=True).start()

    def _wait_in_thread(self) -> None:
        self._popen.wait()
        # The loop may have been closed while the process ran on.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended)

    def _readable(self, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        self._ended()

    def _ended(self) -> None:
        self._before_reap()
        code = self._popen.wait()
        orphans.root_pids.discard(self._popen.pid)
        if not self.code.done():
            self.code.set_result(128 - code if code < 0 else code)
