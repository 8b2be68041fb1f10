"""The grace period of a pod."""

from __future__ import annotations

import asyncio

from embedded.kubelet.termination import GracePeriod


async def test_a_grace_period_of_zero_kills_at_once() -> None:
    kills: list[str] = []
    GracePeriod(lambda: kills.append("killed")).start(0)
    assert kills == ["killed"]


async def test_a_grace_period_can_be_shortened_but_not_lengthened() -> None:
    killed = asyncio.Event()
    period = GracePeriod(killed.set)
    period.start(3600)
    period.start(7200)
    assert period.remaining(0) <= 3600
    period.start(0.01)
    async with asyncio.timeout(60):
        await killed.wait()


async def test_a_grace_period_that_never_started_has_the_default_left() -> None:
    period = GracePeriod(lambda: None)
    assert period.remaining(30) == 30
    period.start(10)
    period.close()
    assert period.remaining(30) <= 10
