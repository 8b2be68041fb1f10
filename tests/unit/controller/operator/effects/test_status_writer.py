"""Writing the status of a run: beside other writers, and above the size limit of the API server."""

from __future__ import annotations

import json
from typing import Any

from controller.kube import (
    JOBS,
    PIPELINE_RUNS,
    TooLargeError,
)
from controller.operator.effects.status_writer import WriteResult
from tests.unit.controller.operator.harness import KEY, FakeApiServer, ReconcilerHarness
from tests.unit.controller.operator.world import step

Json = dict[str, Any]


class SizeLimitedApiServer(FakeApiServer):
    """Refuses statuses above a size, as etcd does."""

    limit = 1500
    refused = 0

    async def patch(self, resource: Any, name: str, patch: Any, **more: Any) -> Json:
        if more.get("subresource") == "status" and len(json.dumps(patch)) > self.limit:
            self.refused += 1
            raise TooLargeError("etcdserver: request is too large", status=500)
        return await super().patch(resource, name, patch, **more)


async def test_what_a_run_left_to_expire_expires_also_after_a_restart() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.reconcile()
    # The Job is not in the cache of the first process, which dies after the last write.
    await harness.reconciler.write(KEY)
    harness.restart()
    await harness.reconcile()
    assert harness.cluster.objects[JOBS, "ci-1--a-1"]["spec"]["ttlSecondsAfterFinished"] == 3600


async def test_concurrent_cancel_does_not_lose_the_status_write() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    harness.cluster.put(PIPELINE_RUNS, {**harness.stored, "spec": {**harness.run["spec"], "cancel": True}})
    assert await harness.reconciler.write(KEY) is WriteResult.ACTIVE
    assert "status" not in harness.stored
    assert harness.scheduled_writes[-1] == (KEY, 0), "it is written again at once"
    await harness.reconciler.write(KEY)
    assert harness.step()["attempts"][0]["number"] == 1
    assert harness.stored["spec"]["cancel"]


async def test_status_of_another_writer_is_not_overwritten() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    foreign = {**harness.stored["status"], "message": "by another"}
    harness.pod("a", {"running": {}})
    await harness.reconcile()
    harness.cluster.put(PIPELINE_RUNS, {**harness.stored, "status": foreign})
    assert await harness.reconciler.write(KEY) is WriteResult.STALE
    assert harness.stored["status"] == foreign


async def test_a_status_that_is_refused_is_written_shortened() -> None:
    harness = ReconcilerHarness(*(step(f"step-{index}") for index in range(5)))
    cluster = SizeLimitedApiServer()
    cluster.objects, cluster.limit = harness.cluster.objects, 2600
    harness.cluster = cluster
    harness.restart()
    await harness.reconcile()
    assert await harness.reconciler.write(KEY) is WriteResult.ACTIVE
    status = harness.stored["status"]
    assert [each["phase"] for each in status["steps"]] == ["Pending"] * 5
    assert status["conditions"][-1]["reason"] == "StatusTooLarge"
    assert cluster.refused > 0
    before = cluster.refused
    harness.pod("step-0", {"running": {}})
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.step()["phase"] == "Running"
    assert cluster.refused == before, "the length that was found is kept"


async def test_a_run_whose_status_never_fits_can_be_cancelled() -> None:
    harness = ReconcilerHarness(*(step(f"step-{index}") for index in range(5)))
    cluster = SizeLimitedApiServer()
    cluster.objects = harness.cluster.objects
    harness.cluster = cluster
    harness.restart()
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.stored["status"]["phase"] == "Running"
    harness.run = cluster.put(PIPELINE_RUNS, {**harness.stored, "spec": {**harness.stored["spec"], "cancel": True}})
    for index in range(5):
        harness.pod(f"step-{index}", {"terminated": {"exitCode": 143}}, phase="Failed")
    await harness.reconcile()
    for _ in range(3):
        await harness.reconciler.write(KEY)
    assert harness.stored["status"]["phase"] in ("Cancelled", "Failed")
