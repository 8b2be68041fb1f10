"""What is opened in another loop stays open when the current one ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from workbench.cli.other_loop import run_in_other_loop


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


def test_what_is_opened_stays_open(loop: asyncio.AbstractEventLoop) -> None:
    happened: list[str] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[str]:
        happened.append("open")
        try:
            yield "it"
        finally:
            happened.append("closed")

    stack = AsyncExitStack()
    assert asyncio.run(run_in_other_loop(loop, stack.enter_async_context(opened()))) == "it"
    assert happened == ["open"]
    loop.run_until_complete(stack.aclose())
    assert happened == ["open", "closed"]


def test_cancelled_work_has_ended_before_the_loop_is_used_again(loop: asyncio.AbstractEventLoop) -> None:
    cleaned: list[str] = []

    async def work(started: asyncio.Event, current: asyncio.AbstractEventLoop) -> None:
        current.call_soon_threadsafe(started.set)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("cleaned")

    async def cancel() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(run_in_other_loop(loop, work(started, asyncio.get_running_loop())))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert cleaned == ["cleaned"]
    assert loop.run_until_complete(asyncio.sleep(0, "usable")) == "usable"


def test_error_of_the_work_is_raised(loop: asyncio.AbstractEventLoop) -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(run_in_other_loop(loop, work()))
