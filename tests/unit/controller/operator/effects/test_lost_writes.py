"""Other writes that are lost, or whose answers are: none counts as done, or as failed, because of that."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from controller.kube import (
    JOBS,
    LEASES,
    PIPELINE_RUNS,
    PODS,
    SECRETS,
    KubeError,
    UnreachableError,
)
from controller.operator.effects.status_writer import WriteResult
from tests.unit.controller.operator.effects.lost_requests import (
    BOTH,
    ENDED,
    again,
    back,
    job,
    lose_once,
    settle,
    written,
)
from tests.unit.controller.operator.harness import KEY, Loss, ReconcilerHarness
from tests.unit.controller.operator.world import step


@BOTH
async def test_pod_is_stopped_although_an_answer_is_lost(lost: Loss) -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    node = {"nodeName": "n", "activeDeadlineSeconds": 900}
    harness.pod("a", {"running": {}}, spec=node)
    harness.cluster.put(PODS, {"metadata": {"name": "a"}, "spec": node})
    lose_once(harness, "patch", PODS, lost)
    harness.run["spec"]["cancel"] = True
    with pytest.raises(UnreachableError):
        await harness.reconcile()
    await again(harness)
    assert harness.cluster.objects[PODS, "a"]["spec"]["activeDeadlineSeconds"] == 1


@BOTH
async def test_job_of_a_cancelled_attempt_is_removed_before_its_run_ends(lost: Loss) -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    harness.catch_up()
    harness.run["spec"]["cancel"] = True
    lose_once(harness, "delete", JOBS, lost)
    with pytest.raises(UnreachableError):
        await harness.reconcile()
    assert harness.cache.states[KEY].status.current["phase"] == "Running"
    harness.catch_up()
    await settle(harness)
    assert (await written(harness))["phase"] == "Cancelled"
    assert job(harness) is None


@BOTH
async def test_secrets_are_copied_once(lost: Loss) -> None:
    harness = ReconcilerHarness(step("a", secrets=[{"secretRef": "s", "key": "k"}]))
    labels = {"c8s.dev/secret": "true"}
    harness.cluster.put(SECRETS, {"metadata": {"name": "s", "labels": labels}, "data": {"k": "aHVzaA=="}})
    lose_once(harness, "create", SECRETS, lost)
    with pytest.raises(UnreachableError):
        await harness.reconcile()
    harness.cluster.put(SECRETS, {"metadata": {"name": "s", "labels": labels}, "data": {"k": "b3RoZXI="}})
    await again(harness)
    assert (await written(harness))["reason"] == "Created"
    value = b"hush" if lost == "answer" else b"other"
    assert list(harness.cache.states[KEY].secrets.values.values()) == [value], "as in the copy that the step has"


@pytest.mark.parametrize("arrived", [0, 1, 2])
async def test_status_that_was_written_without_an_answer_is_nobody_elses(arrived: int) -> None:
    """Several are sent in vain, and any of them may have arrived."""
    harness = ReconcilerHarness()
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    states = [{"waiting": {"reason": "ContainerCreating"}}, {"running": {}}, ENDED]
    for number, state in enumerate(states):
        lose_once(harness, "patch", PIPELINE_RUNS, "answer" if number == arrived else "request")
        harness.pod("a", state, phase="Succeeded" if state is ENDED else "Running")
        await again(harness, 1)
        with pytest.raises(KubeError):
            await harness.reconciler.write(KEY)
        if number == arrived:
            break
    for state in states[arrived + 1 :]:
        lose_once(harness, "patch", PIPELINE_RUNS, "request")
        harness.pod("a", state, phase="Succeeded" if state is ENDED else "Running")
        await again(harness, 1)
        with pytest.raises(KubeError):
            await harness.reconciler.write(KEY)
    back(harness)
    with patch.object(harness.reconciler._recorder, "record") as recorded:
        for _ in range(3):
            result = await harness.reconciler.write(KEY)
    assert result is WriteResult.DONE
    assert harness.step()["phase"] == "Succeeded"
    assert "StatusRestored" not in str(recorded.call_args_list)


@BOTH
async def test_lock_of_a_group_is_held_although_an_answer_is_lost(lost: Loss) -> None:
    harness = ReconcilerHarness()
    pipeline = harness.cluster.objects[PIPELINE_RUNS, "ci-1"]["spec"]["pipeline"]
    pipeline["concurrency"] = {"group": "deploy", "policy": "queue"}
    harness.run = harness.stored
    lose_once(harness, "create", LEASES, lost)
    with pytest.raises(UnreachableError):
        await harness.reconcile()
    await again(harness)
    assert (await written(harness))["reason"] == "Created"
    assert len([name for resource, name in harness.cluster.objects if resource is LEASES]) == 1


@BOTH
async def test_run_is_taken_in_and_let_go_although_answers_are_lost(lost: Loss) -> None:
    harness = ReconcilerHarness()
    lose_once(harness, "patch", PIPELINE_RUNS, lost)
    with pytest.raises(UnreachableError):
        await harness.reconcile()
    harness.run = harness.stored
    await again(harness)
    assert (await written(harness))["reason"] == "Created"
    assert harness.stored["metadata"]["annotations"]["c8s.dev/load-attempts"].startswith("1 "), "one process"
    harness.catch_up()
    harness.pod("a", ENDED, phase="Succeeded")
    await again(harness)
    lose_once(harness, "patch", JOBS, lost)
    with pytest.raises(UnreachableError):
        await harness.reconciler.write(KEY)
    assert await harness.reconciler.write(KEY) is WriteResult.DONE
    assert harness.cluster.objects[JOBS, "ci-1--a-1"]["spec"]["ttlSecondsAfterFinished"] == 3600
    harness.run = harness.stored
    harness.run["metadata"]["deletionTimestamp"] = harness.now.isoformat()
    lose_once(harness, "patch", PIPELINE_RUNS, lost)
    with pytest.raises(UnreachableError):
        await harness.reconcile()
    harness.run["metadata"] |= {each: harness.stored["metadata"][each] for each in ("resourceVersion", "finalizers")}
    await again(harness)
    assert harness.stored["metadata"]["finalizers"] == []
