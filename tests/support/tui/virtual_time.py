"""An event loop whose clock jumps to the next timer as soon as nothing is left to do.

What waits takes no time, and what is computed takes none of the clock's: the order of timers, tasks and messages does
not depend on how fast the machine is or what else it does. Threads and processes that the code starts are waited for in
real time, during which the clock stands still.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

_MAX_WAIT = 60.0
"""Real seconds for which a thread or a process is waited for before the clock goes on without it."""
_CLOCKS = ("textual._time.get_time", "textual.widget.monotonic", "workbench.tui.ordered_input.monotonic")
"""The clocks that timers, messages and waits of an app are measured with."""

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Waits in no time, unless for a thread or a process."""

    loop: VirtualTimeLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        longest_wait = self.loop.longest_wait()
        events = super().select(min(longest_wait, timeout) if longest_wait else 0)
        if not events and not self.loop.longest_wait():
            self.loop.clock += timeout
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`clock` is its time, in seconds."""

    def __init__(self) -> None:
        self.clock = 1_000.0
        self._outside = 0
        """Functions that run in threads."""
        self._waited_since: float | None = None
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)
        self._own_files = len(selector.get_map())

    def time(self) -> float:
        return self.clock

    def longest_wait(self) -> float:
        """Real seconds to wait for what runs outside of the loop; 0 if nothing does or it has taken too long."""
        if not self._outside and len(self._selector.get_map()) <= self._own_files:  # type: ignore[attr-defined]
            self._waited_since = None
            return 0.0
        now = time.monotonic()
        if self._waited_since is None:
            self._waited_since = now
        return max(self._waited_since + _MAX_WAIT - now, 0.0)

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)  # type: ignore[arg-type,assignment]
        self._outside += 1
        # Each of them may take as long as the first.
        self._waited_since = None
        future.add_done_callback(self._came_back)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Without a limit, which would pass at once: from Python 3.12 on, it is waited for in another thread."""
        await super().shutdown_default_executor()

    def _came_back(self, _: asyncio.Future[Any]) -> None:
        self._outside -= 1


def _now() -> float:
    """The time of the loop that runs, if it is virtual; that of the machine otherwise, as in threads."""
    loop = asyncio._get_running_loop()
    return loop.time() if isinstance(loop, VirtualTimeLoop) else time.monotonic()


@contextmanager
def virtual_clocks() -> Iterator[None]:
    """Measure waits of an app with the clock of the loop that it runs in."""
    with ExitStack() as patches:
        for name in _CLOCKS:
            patches.enter_context(patch(name, _now))
        yield


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, in virtual time."""
    with virtual_clocks(), asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
