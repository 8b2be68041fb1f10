"""The helpers that other tests wait with."""

from __future__ import annotations

import pytest

from tests.support.waiting import wait_until, wait_until_async


def test_wait_returns_the_first_true_value() -> None:
    values = iter([0, "", "found"])
    assert wait_until(lambda: next(values), 5, interval=0) == "found"


def test_wait_fails_after_its_timeout_and_names_the_condition() -> None:
    with pytest.raises(AssertionError, match="a reply did not hold within 0 s"):
        wait_until(lambda: False, 0, what="a reply")


def test_condition_may_be_described_when_the_wait_fails() -> None:
    with pytest.raises(AssertionError, match="an empty screen did not hold within 0 s"):
        wait_until(lambda: False, 0, what=lambda: "an empty screen")


async def test_async_wait_accepts_plain_and_coroutine_functions() -> None:
    values = iter([0, 1])

    async def coroutine() -> int:
        return next(values)

    assert await wait_until_async(coroutine, 5, interval=0) == 1
    assert await wait_until_async(lambda: "plain", 5) == "plain"


async def test_async_wait_fails_after_its_timeout() -> None:
    with pytest.raises(AssertionError, match="did not hold within 0 s"):
        await wait_until_async(lambda: False, 0)
