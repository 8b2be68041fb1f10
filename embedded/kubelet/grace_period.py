"""How long what is told to end may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MIN_SIDECAR_GRACE = 2.0
"""Seconds a sidecar has after SIGTERM even when the main containers used up the grace period, as with kubelets."""


class GracePeriod:
    """Kills when it is over. It can be shortened while it runs, never lengthened."""

    def __init__(self, kill: Callable[[], None]) -> None:
        self._kill = kill
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Give so many seconds from now on, unless fewer are left; 0 kills at once."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        if self._deadline is not None and due >= self._deadline:
            return
        self.close()
        self._deadline = due
        if seconds <= 0:
            self._kill()
        else:
            self._timer = loop.call_at(due, self._kill)

    def remaining(self, default: float) -> float:
        """Seconds that are left; `otherwise` when it was never started."""
        return default if self._deadline is None else max(0.0, self._deadline - asyncio.get_running_loop().time())

    def close(self) -> None:
        """Kill nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
