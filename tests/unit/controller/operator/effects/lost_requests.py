"""Loses requests of a reconciler, or their answers, and reconciles as the controller does after that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.kube import (
    JOBS,
    KubeError,
)
from tests.unit.controller.operator.harness import KEY, Loss, ReconcilerHarness
from tests.unit.controller.operator.world import step

Json = dict[str, Any]
ENDED = {"terminated": {"exitCode": 0}}
BOTH = pytest.mark.parametrize("lost", ["request", "answer"])


def lose_once(harness: ReconcilerHarness, verb: str, resource: Any, lost: Loss) -> None:
    """The next such request is lost, or its answer is."""
    left = [lost]
    harness.cluster.lose = lambda asked, of, name: left.pop() if left and (asked, of) == (verb, resource) else None


def away(harness: ReconcilerHarness) -> None:
    """From now on nothing is answered."""
    harness.cluster.lose = lambda verb, resource, name: "request"


def back(harness: ReconcilerHarness) -> None:
    harness.cluster.lose = lambda verb, resource, name: None


async def again(harness: ReconcilerHarness, seconds: float = 0.5) -> None:
    """Reconcile after some time, as the controller does it also after a failure."""
    harness.now += timedelta(seconds=seconds)
    harness.monotonic += seconds
    for _ in range(5):
        try:
            await harness.reconcile()
            return
        except KubeError:
            continue


async def settle(harness: ReconcilerHarness) -> None:
    """Reconcile and let the informers catch up until nothing more comes of it."""
    for _ in range(6):
        await again(harness, 2)
        harness.catch_up()


async def written(harness: ReconcilerHarness, index: int = 0) -> Json:
    await harness.reconciler.write(KEY)
    return harness.step(index)


def job(harness: ReconcilerHarness, name: str = "a", number: int = 1) -> Json | None:
    return harness.cluster.objects.get((JOBS, f"ci-1--{name}-{number}"))


async def lost_start(lost: Loss, *more: Json) -> ReconcilerHarness:
    """The Job of the first step was requested, and there is no answer."""
    harness = ReconcilerHarness(step("a"), *more)
    lose_once(harness, "create", JOBS, lost)
    await harness.reconcile()
    return harness
