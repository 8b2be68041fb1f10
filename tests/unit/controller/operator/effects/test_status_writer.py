"""Writing the status of a run: beside other writers, and above the size limit of the API server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.kube import (
    JOBS,
    PIPELINE_RUNS,
    SECRETS,
    TooLargeError,
)
from controller.operator.effects.status_writer import WriteResult
from controller.operator.run_object import as_run
from controller.run_types.summary import summarize_run
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


async def test_only_secrets_that_there_are_get_deleted_when_a_run_has_ended() -> None:
    harness = ReconcilerHarness(step("a"), step("b", artifacts=["dist/*"]))
    await harness.reconcile()
    await harness.reconcile()
    for name in "ab":
        harness.pod(name, {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    harness.restart()
    await harness.reconcile()
    deleted = [name for resource, name in harness.cluster.deletes if resource is SECRETS]
    assert [name.split("-agent-")[0] for name in deleted] == ["ci-1--b-1"]


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


async def running() -> ReconcilerHarness:
    """A run whose only step runs, with its status written."""
    harness = ReconcilerHarness()
    await harness.reconcile()
    harness.pod("a", {"running": {}})
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    return harness


async def test_change_after_a_pause_is_written_at_once_and_the_next_one_after_the_interval() -> None:
    harness = ReconcilerHarness(step("a"), step("b"), step("c"))
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    delays = []
    for name, pause in (("a", 60.0), ("b", 0.03), ("c", 0.03)):
        harness.monotonic += pause
        harness.pod(name, {"running": {}})
        await harness.reconcile()
        delays.append(harness.scheduled_writes[-1][1])
        if name == "a":
            await harness.reconciler.write(KEY)
    assert delays == pytest.approx([0, 0.07, 0.04])


async def test_status_that_a_client_changes_is_written_again_with_the_next_one() -> None:
    harness = await running()
    own = harness.stored["status"]
    harness.cluster.put(PIPELINE_RUNS, {**harness.stored, "status": {**own, "phase": "Succeeded", "steps": []}})
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.reconcile()
    assert await harness.reconciler.write(KEY) is WriteResult.ACTIVE
    assert harness.scheduled_writes[-1] == (KEY, 0), "it is written again at once"
    assert await harness.reconciler.write(KEY) is WriteResult.DONE
    assert harness.step()["phase"] == "Succeeded"
    assert harness.stored["status"]["message"] == "1 of 1 step succeeded"


async def test_status_that_a_client_changes_is_written_again_although_nothing_else_changes() -> None:
    harness = await running()
    before = harness.stored
    harness.cluster.put(PIPELINE_RUNS, {**before, "status": {**before["status"], "phase": "Succeeded", "steps": []}})
    changed: Any = summarize_run(harness.stored)
    assert harness.reconciler.on_status_change(KEY, as_run(before), changed)
    assert await harness.reconciler.write(KEY) is WriteResult.ACTIVE
    assert harness.stored["status"] == before["status"]
    assert not harness.reconciler.on_status_change(KEY, changed, as_run(harness.stored))


async def test_run_that_a_client_ends_goes_on() -> None:
    harness = await running()
    before = harness.stored
    harness.cluster.put(PIPELINE_RUNS, {**before, "status": {**before["status"], "phase": "Succeeded"}})
    harness.reconciler.on_status_change(KEY, as_run(before), as_run(summarize_run(harness.stored)))
    harness.run = summarize_run(harness.stored)
    harness.pod("a", {"terminated": {"exitCode": 1}}, phase="Failed")
    assert (await harness.reconciler.reconcile(as_run(harness.run))).requeue_after == 0.5
    await harness.reconciler.write(KEY)
    harness.run = harness.stored
    await harness.reconcile()
    assert await harness.reconciler.write(KEY) is WriteResult.DONE
    assert harness.step()["phase"] == "Failed"


async def test_own_writes_and_changes_of_the_spec_are_no_reason_to_look_at_a_status() -> None:
    harness = await running()
    before = harness.stored
    harness.cluster.put(PIPELINE_RUNS, {**before, "spec": {**before["spec"], "cancel": True}})
    assert not harness.reconciler.on_status_change(KEY, as_run(before), as_run(harness.stored))
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    await harness.reconciler.write(KEY)
    ended: Any = summarize_run(harness.stored)
    assert ended["status"]["phase"] == "Succeeded"
    assert not harness.reconciler.on_status_change(KEY, as_run(before), as_run(before))
    assert not harness.reconciler.on_status_change(KEY, as_run(before), ended)


async def test_status_of_an_ended_run_is_written_again() -> None:
    harness = await running()
    harness.pod("a", {"terminated": {"exitCode": 1}}, phase="Failed")
    await harness.reconcile()
    assert await harness.reconciler.write(KEY) is WriteResult.DONE
    harness.reconciler.forget(KEY)
    final, ended = harness.stored["status"], summarize_run(harness.stored)
    for changed in ({**final, "phase": "Succeeded"}, {**final, "phase": "Running"}, {}):
        harness.cluster.put(PIPELINE_RUNS, {**harness.stored, "status": changed})
        seen: Any = summarize_run(harness.stored)
        assert harness.reconciler.on_status_change(KEY, as_run(ended), seen)
        assert await harness.reconciler.write(KEY) is WriteResult.ACTIVE
        assert harness.stored["status"] == final
        assert not harness.reconciler.on_status_change(KEY, seen, as_run(ended))


async def test_status_is_left_to_another_leader() -> None:
    harness = await running()
    harness.leads = False
    foreign = {**harness.stored["status"], "message": "by another"}
    harness.cluster.put(PIPELINE_RUNS, {**harness.stored, "status": foreign})
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.reconcile()
    assert await harness.reconciler.write(KEY) is WriteResult.STALE
    assert harness.stored["status"] == foreign


async def test_last_write_of_an_operator_that_ended_is_read() -> None:
    """It may arrive after the next operator has read the run, until that has written."""
    harness = await running()
    harness.restart()
    await harness.reconcile()
    late = {**harness.stored["status"], "message": "by another"}
    harness.cluster.put(PIPELINE_RUNS, {**harness.stored, "status": late})
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.reconcile()
    assert await harness.reconciler.write(KEY) is WriteResult.STALE
    assert harness.stored["status"] == late


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


async def test_a_write_says_when_steps_need_wait_no_longer_for_what_it_records() -> None:
    """Agents ask the API for artifacts of reused steps, which it knows from the written status."""
    harness = await running()
    status = harness.cache.states[KEY].status
    own, taken = status.current, {"run": "ci-0", "uid": "u", "slug": "b", "attempt": 1}
    reused: Any = {**own["steps"][0], "name": "b", "slug": "b", "reused": taken}
    status.current = {**own, "steps": [*own["steps"], reused]}
    assert await harness.reconciler.write(KEY) is WriteResult.RECORDED
    assert await harness.reconciler.write(KEY) is WriteResult.ACTIVE
    status.current = {**status.current, "source": {"digest": "sha256:1", "commit": "c", "size": 1}}
    assert await harness.reconciler.write(KEY) is WriteResult.RECORDED
