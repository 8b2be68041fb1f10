"""Watches the event loop from a thread of its own: what blocks it is logged with its stack, and counted.

Operator and API serve everybody in one thread. A computation in it that takes long delays all runs and all requests,
and shows nowhere else, because what measures it waits, too.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType

from controller.metrics.duration_histogram import DurationHistogram

log = logging.getLogger("c8s.loop")

THRESHOLD = 0.2
"""Seconds that the loop may take to answer before it counts as blocked."""
_INTERVAL = 0.05
_BUCKETS = (0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_STACK_DEPTH = 12


class LoopWatchdog:
    """Measures how long the running event loop takes to answer. A context manager, entered in the loop.

    Attributes:
        blocked: durations of the times that the loop was blocked, from the threshold on.
        longest: the longest of them, in seconds.
    """

    def __init__(self, threshold: float = THRESHOLD, clock: Callable[[], float] = time.monotonic) -> None:
        self._threshold = threshold
        self._clock = clock
        self._stop = threading.Event()
        self.blocked = DurationHistogram(
            "c8s_event_loop_blocked_seconds",
            "Times in which the event loop served nobody, from 0.2 s on.",
            "loop",
            _BUCKETS,
            ("main",),
        )
        self.longest = 0.0

    def __enter__(self) -> LoopWatchdog:
        loop, ident = asyncio.get_running_loop(), threading.get_ident()
        self._thread = threading.Thread(target=self._watch, args=(loop, ident), name="loop-watchdog", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()

    def _watch(self, loop: asyncio.AbstractEventLoop, ident: int) -> None:
        answered = threading.Event()
        while not self._stop.wait(_INTERVAL):
            asked, used = self._clock(), _cpu_seconds(ident)
            answered.clear()
            try:
                loop.call_soon_threadsafe(answered.set)
            except RuntimeError:
                # The loop is closed.
                return
            if answered.wait(self._threshold):
                continue
            stack = _stack(ident)
            while not answered.wait(self._threshold) and not self._stop.is_set() and not loop.is_closed():
                pass
            self._report(self._clock() - asked, _cpu_seconds(ident) - used, stack)

    def _report(self, seconds: float, cpu_seconds: float, stack: str) -> None:
        self.blocked.observe("main", seconds)
        self.longest = max(self.longest, seconds)
        log.warning(
            "the event loop was blocked for %.2f s, of which it computed for %.2f s",
            *(seconds, cpu_seconds),
            extra={"seconds": round(seconds, 3), "cpuSeconds": round(cpu_seconds, 3), "stack": stack},
        )


def _stack(ident: int) -> str:
    """Where the thread is, innermost last."""
    frame = sys._current_frames().get(ident)
    return "".join(traceback.format_stack(frame)[-_STACK_DEPTH:]) if frame is not None else ""


def _cpu_seconds(ident: int) -> float:
    """The processor time of a thread; 0 where the system does not tell it."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return 0.0
    return time.clock_gettime(time.pthread_getcpuclockid(ident))
