"""Requests that are lost, and those whose answers are: nothing counts as done, or as failed, because of that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from controller.kube import (
    JOBS,
    LEASES,
    PIPELINE_RUNS,
    PODS,
    SECRETS,
    ApiError,
    ForbiddenError,
    KubeError,
    UnreachableError,
)
from controller.operator.effects.status_writer import WriteResult
from controller.operator.gate import is_closed, opening
from controller.operator.workload import job as jobs
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


# -- what is made ahead


def ahead() -> ReconcilerHarness:
    return ReconcilerHarness(step("a"), step("b", "a", artifacts=["dist/*"]))


def lose_job(harness: ReconcilerHarness, verb: str, lost: Loss) -> None:
    """The next such request for the Job of step b is lost."""
    left = [lost]

    def lose(asked: str, resource: Any, name: str) -> Loss | None:
        return left.pop() if left and (asked, resource, name) == (verb, JOBS, "ci-1--b-1") else None

    harness.cluster.lose = lose


@BOTH
@pytest.mark.parametrize("is_due", [True, False])
async def test_job_that_is_made_ahead_is_made_once(lost: Loss, is_due: bool) -> None:
    harness = ahead()
    lose_job(harness, "create", lost)
    await harness.reconcile()
    if is_due:
        harness.pod("a", ENDED, phase="Succeeded")
    await again(harness)
    found = job(harness, "b")
    assert found is not None
    assert harness.cluster.created.count("ci-1--b-1") == 1
    entry = await written(harness, 1)
    if is_due:
        assert not is_closed(found)
        assert (entry["reason"], len(entry["attempts"])) == ("Created", 1)
    else:
        assert is_closed(found)
        assert (entry["reason"], "attempts" in entry) == ("WaitingAtGate", False)


@BOTH
async def test_nothing_that_was_made_ahead_is_left_by_a_cancelled_run(lost: Loss) -> None:
    harness = ahead()
    lose_job(harness, "create", lost)
    await harness.reconcile()
    harness.run["spec"]["cancel"] = True
    await settle(harness)
    assert await harness.reconciler.write(KEY) is WriteResult.DONE
    assert [name for resource, name in harness.cluster.objects if resource is JOBS] == []


@BOTH
async def test_gate_is_opened_although_an_answer_is_lost(lost: Loss) -> None:
    harness = ahead()
    await harness.reconcile()
    lose_job(harness, "patch", lost)
    harness.pod("a", ENDED, phase="Succeeded")
    with pytest.raises(UnreachableError):
        await harness.reconcile()
    await again(harness)
    found = job(harness, "b")
    assert found is not None
    assert opening(found) is not None
    harness.catch_up()
    harness.pod("b", ENDED, phase="Succeeded")
    await again(harness, 30)
    assert len((await written(harness, 1))["attempts"]) == 1


@BOTH
async def test_withdrawal_leaves_neither_job_nor_token(lost: Loss) -> None:
    harness = ahead()
    await harness.reconcile()
    harness.catch_up()
    lose_job(harness, "delete", lost)
    harness.pod("a", {"terminated": {"exitCode": 1}}, phase="Failed")
    with pytest.raises(UnreachableError):
        await harness.reconcile()
    assert harness.cache.states[KEY].status.current["phase"] == "Running", "not before it is known"
    harness.catch_up()
    await again(harness)
    assert await harness.reconciler.write(KEY) is WriteResult.DONE
    assert job(harness, "b") is None
    assert [name for resource, name in harness.cluster.objects if resource is SECRETS] == []


# -- other writes


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
