"""Calls in threads that nobody waits for at the end of the program."""

from __future__ import annotations

import asyncio
import threading

import pytest

from workbench.daemon_thread import run_in_daemon_thread


async def test_result_and_error_are_those_of_the_function() -> None:
    assert await run_in_daemon_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await run_in_daemon_thread(divmod, 7, 0)


async def test_cancelled_call_leaves_only_a_daemon_thread() -> None:
    release, threads = threading.Event(), []

    def wait() -> None:
        threads.append(threading.current_thread())
        release.wait(60)

    call = asyncio.create_task(run_in_daemon_thread(wait))
    while not threads:
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert threads[0].daemon
    release.set()
    threads[0].join(60)
