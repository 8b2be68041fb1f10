"""A Job that has failed, of which the informer shows no pod."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.kube import JOBS, PODS
from controller.operator.reconciler import Result
from tests.unit.controller.operator.harness import KEY, ReconcilerHarness

Json = dict[str, Any]
FAILED = {"terminated": {"exitCode": 3}}


async def reconcile_later(harness: ReconcilerHarness) -> Result:
    harness.now += timedelta(seconds=1)
    harness.monotonic += 1
    result = await harness.reconcile()
    await harness.reconciler.write(KEY)
    return result


@pytest.fixture
async def harness() -> ReconcilerHarness:
    """The informer of Jobs shows that the Job has failed."""
    made = ReconcilerHarness()
    await made.reconcile()
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "no more"}
    made.cluster.objects[JOBS, "ci-1--a-1"]["status"] = {"conditions": [failed]}
    made.catch_up()
    return made


async def test_an_attempt_waits_for_the_pod_that_the_api_server_has(harness: ReconcilerHarness) -> None:
    pod = harness.cluster.put(PODS, harness.pod_object("a", FAILED, "Failed"))
    for _ in range(3):
        result = await reconcile_later(harness)
        (attempt,) = harness.step()["attempts"]
        assert (attempt["phase"], attempt["reason"]) == ("Running", "Created")
        assert result.requeue_after == 1.0
    harness.cache.on_pod(pod, deleted=False)
    await reconcile_later(harness)
    (attempt,) = harness.step()["attempts"]
    assert (attempt["phase"], attempt["exitCode"]) == ("Failed", 3)


async def test_an_attempt_without_a_pod_is_disrupted(harness: ReconcilerHarness) -> None:
    other = harness.pod_object("a", FAILED, "Failed")
    other["metadata"]["ownerReferences"][0]["uid"] = "of another Job"
    harness.cluster.put(PODS, other)
    await reconcile_later(harness)
    await reconcile_later(harness)
    first, second = harness.step()["attempts"]
    assert (first["phase"], first["reason"]) == ("Failed", "Disrupted")
    assert first["message"] == "the Job failed without a pod: no more"
    assert second["number"] == 2
