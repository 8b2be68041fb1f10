"""Waiting for a condition, with a limit: the only places in tests that poll.

The limit is for what never comes. It is long, so that a busy machine does not reach it, and costs nothing otherwise.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeVar, overload

T = TypeVar("T")

LONGEST = 100.0
"""Seconds that a test waits for something that comes by itself."""


def wait_until(
    condition: Callable[[], T],
    timeout: float = LONGEST,
    *,
    what: str | Callable[[], str] = "the condition",
    interval: float = 0.02,
) -> T:
    """Return the condition's value as soon as it is true.

    Args:
        condition: called every `interval` seconds; an exception it raises ends the wait.
        timeout: seconds.
        what: names the condition in the failure; a function is called then, and may say what is there instead.

    Raises:
        AssertionError: the condition is still false after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, _failure(what, timeout)
        time.sleep(interval)
    return value


@overload
async def wait_until_async(
    condition: Callable[[], Awaitable[T]],
    timeout: float = ...,
    *,
    what: str | Callable[[], str] = ...,
    interval: float = ...,
) -> T: ...
@overload
async def wait_until_async(
    condition: Callable[[], T], timeout: float = ..., *, what: str | Callable[[], str] = ..., interval: float = ...
) -> T: ...
async def wait_until_async(
    condition: Callable[[], Any],
    timeout: float = LONGEST,
    *,
    what: str | Callable[[], str] = "the condition",
    interval: float = 0.01,
) -> Any:
    """Like `wait_until`, without blocking the event loop. The condition may be a coroutine function.

    Raises:
        AssertionError: the condition is still false after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if isawaitable(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, _failure(what, timeout)
        await asyncio.sleep(interval)


def _failure(what: str | Callable[[], str], timeout: float) -> str:
    return f"{what if isinstance(what, str) else what()} did not hold within {timeout:g} s"
