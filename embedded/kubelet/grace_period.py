"""How long what is told to end may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LEAST_FOR_SIDECARS = 2.0
"""Seconds a sidecar has after SIGTERM even when the main containers used up the grace period, as with kubelets."""


class GracePeriod:
    """Kills when it is over. It can be shortened while it runs, never lengthened."""

    def __init__(self, kill: Callable[[], None]) -> None:
        self._kill = kill
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Give so many seconds from now on, unless fewer are left; 0 kills at once."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if self._due is not None and due >= self._due:
            return
        self.close()
        self._due = due
        if seconds <= 0:
            self._kill()
        else:
            self._timer = loop.call_at(due, self._kill)

    def left(self, otherwise: float) -> float:
        """Seconds that are left; `otherwise` when it was never started."""
        return otherwise if self._due is None else max(0.0, self._due - asyncio.get_running_loop().time())

    def close(self) -> None:
        """Kill nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
