"""Runs a function on untrusted data in a process of its own, which ends when it needs too much time or memory.

For the few computations whose cost can't be bounded well enough by counting. A process is started for each call, which
takes about half a second, so that callers use it for large data only.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

MEBIBYTE = 1024 * 1024
MEMORY_EXIT_CODE = 70
"""The exit code of a process that ran out of memory."""


@dataclass(frozen=True)
class WorkLimits:
    """What one call may use.

    Attributes:
        cpu_seconds: processor time, which does not depend on how busy the machine is.
        wall_seconds: time on the clock, in case the process does not run at all.
        memory_bytes: memory for data.
    """

    cpu_seconds: int = 10
    wall_seconds: float = 60.0
    memory_bytes: int = 384 * MEBIBYTE


class WorkLimitError(Exception):
    """The call exceeded a limit and was ended. The message says which."""


class LimitedWorker:
    """Runs functions in processes of their own, at most `max_processes` at a time."""

    def __init__(self, limits: WorkLimits | None = None, max_processes: int = 2, *, quiet: bool = False) -> None:
        """`quiet`: what the processes print is dropped, as on a terminal that shows something else."""
        self._limits = limits or WorkLimits()
        self._max_processes = max_processes
        self._stderr = asyncio.subprocess.DEVNULL if quiet else None
        self._running = 0

    @property
    def is_busy(self) -> bool:
        """Whether all processes are in use, so that a call would have to wait."""
        return self._running >= self._max_processes

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """The result of a function of a module, with arguments and a result that can be pickled.

        Call it only while the worker is not busy. An exception of the function is raised here.

        Raises:
            WorkLimitError: the function needed too much time or memory, or ended its process.
        """
        if self.is_busy:
            raise RuntimeError("all processes are in use")
        self._running += 1
        try:
            result: T = await self._call(pickle.dumps((self._limits, function, arguments)))
            return result
        finally:
            self._running -= 1

    async def _call(self, call: bytes) -> Any:
        # -P: the working directory is not searched for modules.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "controller.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._stderr,
        )
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                answer, _ = await process.communicate(call)
        except TimeoutError:
            raise WorkLimitError(f"it took longer than {self._limits.wall_seconds:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise WorkLimitError(self._describe_end(process.returncode))
        # From our own process, which runs this code and only computes on the data.
        is_result, value = pickle.loads(answer)  # noqa: S301
        if not is_result:
            raise value
        return value

    def _describe_end(self, code: int | None) -> str:
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return f"it took longer than {self._limits.cpu_seconds} s of processor time, or too much memory"
        if code == MEMORY_EXIT_CODE:
            return f"it needed more than {self._limits.memory_bytes // MEBIBYTE} MiB of memory"
        return f"its process ended with code {code}"
