"""The watchdog of the event loop."""

import asyncio
import logging
import re
import time

import pytest

from controller.metrics.loop_watchdog import LoopWatchdog
from tests.support.metrics import series
from tests.support.waiting import wait_until_async


def compute_until(deadline: float) -> None:
    while time.monotonic() < deadline:
        pass


async def test_a_blocked_loop_is_counted_and_logged_with_its_stack(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "c8s.loop"), LoopWatchdog() as watchdog:
        compute_until(time.monotonic() + 0.6)
        await wait_until_async(lambda: watchdog.longest, what="the report")
    assert watchdog.longest >= 0.3
    assert series(watchdog.blocked)["c8s_event_loop_blocked_seconds_count", None] >= 1
    record = next(each for each in caplog.records if "compute_until" in vars(each)["stack"])
    assert re.match(r"the event loop was blocked for \d+\.\d\d s, of which it computed for ", record.getMessage())
    assert vars(record)["cpuSeconds"] > 0


async def test_a_loop_that_answers_is_not_reported() -> None:
    with LoopWatchdog(threshold=20.0) as watchdog:
        for _ in range(20):
            await asyncio.sleep(0.01)
    assert watchdog.longest == 0
