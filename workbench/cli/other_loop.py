"""Runs a coroutine in an event loop that outlives the current one.

What a coroutine opens belongs to the loop that it ran in: at its end, a loop closes what is still open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def run_in_other_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which runs in a thread in a loop that nothing else runs meanwhile.

    When this is cancelled, so is `work`, and its end is awaited: the loop can be used again then.
    """
    task = loop.create_task(work)
    running = asyncio.ensure_future(asyncio.to_thread(_run, loop, task))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        loop.call_soon_threadsafe(task.cancel)
        await asyncio.wait([running])
        raise


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[T]) -> T:
    return loop.run_until_complete(task)
