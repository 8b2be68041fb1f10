"""Requests for the Jobs of steps that are lost, or whose answers are: an attempt runs once, or is not started."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest

from controller.kube import (
    JOBS,
    PIPELINE_RUNS,
    PODS,
    SECRETS,
    ApiError,
    ForbiddenError,
    UnreachableError,
)
from controller.operator.effects.status_writer import WriteResult
from controller.operator.workload import job as jobs
from tests.unit.controller.operator.effects.lost_requests import (
    BOTH,
    ENDED,
    again,
    away,
    back,
    job,
    lose_once,
    lost_start,
    settle,
    written,
)
from tests.unit.controller.operator.harness import KEY, Loss, ReconcilerHarness
from tests.unit.controller.operator.world import step

Json = dict[str, Any]


@BOTH
async def test_job_without_an_answer_is_requested_again_soon_and_made_once(lost: Loss) -> None:
    harness = await lost_start(lost)
    entry = await written(harness)
    assert (entry["phase"], entry["reason"], "attempts" in entry) == ("Pending", "NotCreated", False)
    assert "did not answer whether it has made its Job" in entry["message"]
    assert "the connection" in entry["message"]
    result = await harness.reconcile()
    assert result.requeue_after is not None
    assert result.requeue_after <= 0.5
    await again(harness)
    entry = await written(harness)
    assert harness.cluster.created == ["ci-1--a-1"]
    assert (entry["reason"], [each["number"] for each in entry["attempts"]]) == ("Created", [1])
    harness.pod("a", ENDED, phase="Succeeded")
    await again(harness, 30)
    assert (await written(harness))["phase"] == "Succeeded"


@pytest.mark.parametrize("resource", [JOBS, SECRETS])
async def test_job_is_requested_every_few_seconds_while_the_api_server_is_away(resource: Any) -> None:
    """Also where its agents' tokens are what can't be made."""
    harness = ReconcilerHarness(step("a", artifacts=["dist/*"]))
    lose = {resource}
    harness.cluster.lose = lambda verb, resource, name: "request" if resource in lose else None
    await harness.reconcile()
    for _ in range(20):
        result = await harness.reconcile()
        assert result.requeue_after is not None
        assert 0 < result.requeue_after <= 4
        await again(harness, result.requeue_after)
    lose.clear()
    await again(harness, 4)
    assert (await written(harness))["attempts"][0]["phase"] == "Running"
    assert harness.cluster.created.count("ci-1--a-1") == 1


async def test_job_that_ran_and_ended_before_the_second_request_ran_once() -> None:
    harness = await lost_start("answer")
    found = job(harness)
    assert found is not None
    found["metadata"]["creationTimestamp"] = harness.now.isoformat()
    # The pod is seen before its Job.
    harness.pod("a", ENDED, phase="Succeeded")
    created = harness.now
    await again(harness, 3)
    [attempt] = (await written(harness))["attempts"]
    assert (attempt["phase"], harness.cluster.created) == ("Succeeded", ["ci-1--a-1"])
    assert attempt["times"]["created"].startswith(created.isoformat()[:19]), "not when it was asked again"


async def test_refusal_of_the_second_request_says_nothing_about_the_first() -> None:
    """The quota is used up by the Job itself."""
    harness = await lost_start("answer")
    harness.cluster.refuse = ForbiddenError('jobs "x" is forbidden: exceeded quota: q', status=403)
    await again(harness)
    assert (await written(harness))["reason"] == "Created"


async def test_error_of_the_server_may_come_after_the_job_was_made() -> None:
    harness = ReconcilerHarness()
    create = harness.cluster.create

    async def time_out(resource: Any, obj: Json, namespace: str | None = None) -> Json:
        await create(resource, obj, namespace)
        raise ApiError("etcdserver: request timed out", status=500)

    with patch.object(harness.cluster, "create", time_out):
        await harness.reconcile()
    harness.cluster.refuse = ApiError("spec.template: Invalid value", status=422)
    await again(harness)
    assert (await written(harness))["reason"] == "Created"


@pytest.mark.parametrize("how", ["cancelled", "timed out", "deleted"])
@BOTH
async def test_run_that_is_to_end_finds_out_first_whether_the_job_exists(lost: Loss, how: str) -> None:
    harness = ReconcilerHarness(step("a"))
    harness.cluster.objects[PIPELINE_RUNS, "ci-1"]["spec"]["pipeline"]["timeout"] = "1m"
    harness.run = harness.stored
    lose_once(harness, "create", JOBS, lost)
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    away(harness)
    if how == "cancelled":
        harness.run["spec"]["cancel"] = True
    elif how == "deleted":
        harness.run["metadata"]["deletionTimestamp"] = harness.now.isoformat()
    await again(harness, 61)
    state = harness.cache.states[KEY]
    assert state.status.current["phase"] not in ("Cancelled", "Failed"), "it is not known yet"
    assert state.status.current["steps"][0]["phase"] == "Pending"
    assert "c8s.dev/run" in str(harness.stored["metadata"].get("finalizers")), "it is kept"
    back(harness)
    await settle(harness)
    assert job(harness) is None
    if how != "deleted":
        assert await harness.reconciler.write(KEY) is WriteResult.DONE
        assert (harness.stored["status"]["phase"], harness.step()["phase"]) in (
            ("Cancelled", "Cancelled"),
            ("Failed", "Cancelled"),
        )
        assert len(harness.step().get("attempts", [])) == (lost == "answer")
    assert harness.cluster.created == (["ci-1--a-1"] if lost == "answer" else [])


@BOTH
@pytest.mark.parametrize("written_before", [True, False])
async def test_next_process_makes_the_job_once(lost: Loss, written_before: bool) -> None:
    harness = await lost_start(lost)
    if written_before:
        await harness.reconciler.write(KEY)
    harness.restart()
    await harness.reconcile()
    entry = await written(harness)
    assert (len(entry["attempts"]), harness.cluster.created) == (1, ["ci-1--a-1"])


@BOTH
async def test_next_process_of_a_cancelled_run_leaves_no_job(lost: Loss) -> None:
    harness = await lost_start(lost)
    harness.restart()
    harness.run["spec"]["cancel"] = True
    await settle(harness)
    assert await harness.reconciler.write(KEY) is WriteResult.DONE
    assert job(harness) is None


@pytest.mark.parametrize("has_ended", [True, False])
async def test_request_that_arrives_after_the_step_was_cancelled_runs_nothing(has_ended: bool) -> None:
    harness = ReconcilerHarness(step("a"), step("b"))
    late: list[Json] = []
    create = harness.cluster.create

    async def delay(resource: Any, obj: Json, namespace: str | None = None) -> Json:
        if resource is JOBS and obj["metadata"]["name"] == "ci-1--a-1":
            late.append(obj)
            raise UnreachableError("no answer for 30 s")
        return await create(resource, obj, namespace)

    with patch.object(harness.cluster, "create", delay):
        await harness.reconcile()
    harness.catch_up()
    node = {"nodeName": "n", "activeDeadlineSeconds": 900}
    harness.pod("b", {"running": {}}, spec=node)
    harness.cluster.put(PODS, {"metadata": {"name": "b"}, "spec": node})
    harness.run["spec"]["cancel"] = True
    await again(harness)
    assert (await written(harness))["phase"] == "Cancelled"
    if has_ended:
        harness.pod("b", {"terminated": {"exitCode": 143}}, phase="Failed", spec=node)
        await again(harness)
        assert await harness.reconciler.write(KEY) is WriteResult.DONE
        harness.reconciler.forget(KEY)
        harness.run = harness.stored
    harness.cluster.put(JOBS, late[0])
    harness.catch_up()
    await again(harness)
    assert job(harness) is None
    assert "attempts" not in harness.step()


@BOTH
async def test_attempt_after_a_failed_one_is_made_once_or_not_at_all(lost: Loss) -> None:
    for cancel in (False, True):
        harness = ReconcilerHarness(step("a", retryPolicy={"maxRetries": 1, "backoffSeconds": 0}))
        await harness.reconcile()
        lose_once(harness, "create", JOBS, lost)
        harness.pod("a", {"terminated": {"exitCode": 1}}, phase="Failed")
        await harness.reconcile()
        assert len((await written(harness))["attempts"]) == 1
        harness.run["spec"]["cancel"] = cancel
        await settle(harness)
        entry = await written(harness)
        if cancel:
            assert (entry["phase"], job(harness, number=2)) == ("Cancelled", None)
            assert len(entry["attempts"]) == 1 + (lost == "answer")
        else:
            assert [each["number"] for each in entry["attempts"]] == [1, 2]
            assert harness.cluster.created.count("ci-1--a-2") == 1


async def test_job_that_may_exist_counts_for_max_parallel() -> None:
    harness = ReconcilerHarness(step("a"), step("b"))
    harness.cluster.objects[PIPELINE_RUNS, "ci-1"]["spec"]["pipeline"]["maxParallel"] = 1
    harness.run = harness.stored
    lose_once(harness, "create", JOBS, "answer")
    await harness.reconcile()
    assert harness.cluster.created == ["ci-1--a-1"]
    await again(harness)
    assert (await written(harness, 1))["reason"] == "MaxParallel"


async def test_attempt_whose_job_could_not_be_built_has_not_started() -> None:
    harness = ReconcilerHarness()
    with patch.object(jobs, "build_job", side_effect=ValueError("a bug")), pytest.raises(ValueError, match="a bug"):
        await harness.reconcile()
    assert "attempts" not in str(harness.cache.states[KEY].status.current)
    await again(harness)
    assert (await written(harness))["reason"] == "Created"


@BOTH
async def test_cancelled_attempt_whose_job_is_not_shown_yet_leaves_no_job(lost: Loss) -> None:
    """A new process begins with a list of Jobs that may be old."""
    harness = ReconcilerHarness()
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    harness.restart()
    harness.cache.on_job(job(harness) or {}, deleted=True)
    harness.cache.owned.forget(KEY)
    harness.run["spec"]["cancel"] = True
    lose_once(harness, "get", JOBS, lost)
    await settle(harness)
    assert (await written(harness))["phase"] == "Cancelled"
    assert job(harness) is None
