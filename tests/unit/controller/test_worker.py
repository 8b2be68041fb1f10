"""Functions in processes of their own, with limits of time and memory."""

import asyncio
import os
import signal

import pytest

from controller.worker import LimitedWorker, WorkLimitError, WorkLimits


def add(one: int, other: int) -> int:
    print("this is not the result")
    return one + other


def fail(message: str) -> None:
    raise ValueError(message)


def compute_for_ever() -> None:
    while True:
        pass


def wait_for_ever() -> None:
    signal.pause()


def fill_memory() -> int:
    return len(bytearray(1 << 34))


def end_at_once() -> None:
    os._exit(3)


async def test_the_result_of_a_function_is_returned() -> None:
    assert await LimitedWorker().run(add, 1, 2) == 3


async def test_an_error_of_the_function_is_raised() -> None:
    with pytest.raises(ValueError, match="what was wrong"):
        await LimitedWorker().run(fail, "what was wrong")


@pytest.mark.parametrize(
    ("function", "limits", "message"),
    [
        (compute_for_ever, WorkLimits(cpu_seconds=1), "longer than 1 s of processor time"),
        (wait_for_ever, WorkLimits(wall_seconds=0.5), r"it took longer than 0\.5 s"),
        (fill_memory, WorkLimits(), "it needed more than 384 MiB of memory"),
        (end_at_once, WorkLimits(), "its process ended with code 3"),
    ],
)
async def test_a_function_that_needs_too_much_is_ended(function, limits: WorkLimits, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WorkLimitError, match=message):
        await LimitedWorker(limits).run(function)


async def test_only_so_many_processes_run_at_a_time() -> None:
    worker = LimitedWorker(max_processes=1)
    first = asyncio.create_task(worker.run(add, 1, 2))
    await asyncio.sleep(0)
    assert worker.is_busy
    with pytest.raises(RuntimeError, match="in use"):
        await worker.run(add, 1, 2)
    assert await first == 3
    assert not worker.is_busy
