"""Random use of the app with a fake controller; `bench/workbench/random_use.py` plays more of it."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.tui.random_use import GROUP, play_sequences
from tests.support.tui.virtual_time import run_virtual


@pytest.mark.parametrize("first", [0, 5])
def test_random_use_finds_no_failure(first: int) -> None:
    play_sequences(range(first, first + GROUP))


def test_virtual_time_passes_in_no_time_and_waits_for_threads() -> None:
    async def wait() -> tuple[float, float, bool]:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(3600)
        slept = loop.time() - before
        done = await asyncio.wait_for(asyncio.to_thread(lambda: time.sleep(0.05) or True), timeout=0.01)
        # The end of the loop waits for this one, too.
        loop.run_in_executor(None, time.sleep, 0.05)
        return slept, loop.time() - before, done

    started_at = time.monotonic()
    slept, passed, done = run_virtual(wait())
    assert done
    assert slept == pytest.approx(3600)
    assert passed == pytest.approx(3600, abs=0.01)
    assert time.monotonic() - started_at < 60
