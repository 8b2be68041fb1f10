"""Calls a function in a thread that nobody waits for at the end of the program.

The threads of `asyncio.to_thread` are joined when the event loop is closed and when the interpreter exits. A call that
hangs, on a server or on a pipe that is not read, would keep an interrupted command from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def run_in_daemon_thread(function: Callable[..., T], *arguments: object) -> T:
    """The result of the function, or its exception. When this is cancelled, the thread goes on unnoticed."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, failure = None, None
        try:
            result = function(*arguments)
        except BaseException as error:  # passed on to the caller
            failure = error
        # The loop may be closed meanwhile: then nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, name=getattr(function, "__name__", "call"), daemon=True).start()
    return await future
