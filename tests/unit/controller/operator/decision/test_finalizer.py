"""Deleted runs are kept until they have ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller import labels
from tests.unit.controller.operator.harness import KEY, ReconcilerHarness
from tests.unit.controller.operator.world import T0

Json = dict[str, Any]


async def test_a_run_is_held_from_its_first_reconcile() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    assert labels.RUN_FINALIZER in harness.stored["metadata"]["finalizers"]


async def test_deleted_run_keeps_its_finalizer_until_it_has_ended() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    harness.pod("a", {"running": {}})
    await harness.reconcile()
    harness.run = {**harness.stored, "metadata": {**harness.stored["metadata"], "deletionTimestamp": T0.isoformat()}}
    result = await harness.reconciler.reconcile(harness.run)
    assert result.requeue_after is not None
    assert labels.RUN_FINALIZER in harness.stored["metadata"]["finalizers"]
    ended = {**harness.run, "status": {**(harness.stored.get("status") or {}), "phase": "Cancelled"}}
    await harness.reconciler.reconcile(ended)
    assert harness.stored["metadata"]["finalizers"] == []


async def start_deleted(harness: ReconcilerHarness) -> None:
    """A run with a pod that does not end is deleted."""
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    harness.pod("a", {"running": {}})
    await harness.reconcile()
    harness.run = {**harness.stored, "metadata": {**harness.stored["metadata"], "deletionTimestamp": T0.isoformat()}}


@pytest.mark.parametrize("jump", [timedelta(hours=-8), timedelta(hours=8)])
async def test_a_deletion_is_limited_whatever_the_clock_does(jump: timedelta) -> None:
    """The machine may be suspended as soon as a run is deleted."""
    harness = ReconcilerHarness()
    await start_deleted(harness)
    harness.now += jump
    result = await harness.reconciler.reconcile(harness.run)
    assert result.requeue_after is not None
    assert 0 < result.requeue_after <= 90
    harness.now += jump
    harness.monotonic += 89
    await harness.reconciler.reconcile(harness.run)
    assert harness.stored["metadata"]["finalizers"] == [labels.RUN_FINALIZER]
    harness.monotonic += 1
    await harness.reconciler.reconcile(harness.run)
    assert harness.stored["metadata"]["finalizers"] == []


async def test_a_deletion_before_a_restart_is_not_begun_anew() -> None:
    harness = ReconcilerHarness()
    await start_deleted(harness)
    deleted = harness.run
    await harness.reconciler.reconcile(deleted)
    harness.restart()
    harness.now += timedelta(seconds=90)
    await harness.reconciler.reconcile(deleted)
    assert harness.stored["metadata"]["finalizers"] == []


async def test_a_run_that_never_started_goes_at_once() -> None:
    harness = ReconcilerHarness()
    finalizers = [labels.RUN_FINALIZER, "x/y"]
    metadata = {**harness.stored["metadata"], "finalizers": finalizers, "deletionTimestamp": T0.isoformat()}
    await harness.reconciler.reconcile({**harness.stored, "metadata": metadata})
    assert harness.stored["metadata"]["finalizers"] == ["x/y"], "what others hold it by stays"
