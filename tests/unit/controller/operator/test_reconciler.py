"""Reconciling a run from its creation to its end, and what is refused at its start."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from controller.kube import (
    JOBS,
    PIPELINE_RUNS,
    SECRETS,
)
from controller.operator.decision.finalizer import ISOLATED_LOAD_ATTEMPTS, MAX_LOAD_ATTEMPTS
from controller.operator.effects.status_writer import WriteResult
from controller.operator.plan_loader import PlanLoader
from controller.provenance import approve, sign_creator
from controller.worker import LimitedWorker
from tests.unit.controller.operator.harness import KEY, ReconcilerHarness
from tests.unit.controller.operator.world import SETTINGS, build_run, step

Json = dict[str, Any]


async def test_a_run_goes_from_its_first_reconcile_to_its_end() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    assert await harness.reconciler.write(KEY) is WriteResult.ACTIVE
    assert (harness.cluster.created, harness.step()["phase"]) == (["ci-1--a-1"], "Pending")
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.reconcile()
    assert await harness.reconciler.write(KEY) is WriteResult.DONE
    assert harness.stored["status"]["phase"] == "Succeeded"


async def test_ended_run_is_not_restarted_from_a_stale_cache() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    before = harness.stored
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.stored == before


async def test_recreated_run_takes_nothing_from_the_earlier_one() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    earlier = harness.cluster.objects.pop((JOBS, "ci-1--a-1"))["metadata"]["uid"]
    again = build_run([step("a")])
    again["metadata"]["uid"] = "uid-2"
    harness.run = harness.cluster.put(PIPELINE_RUNS, again)
    await harness.reconcile()
    assert harness.logs.forgotten == 1
    await harness.reconciler.write(KEY)
    assert harness.step()["phase"] == "Pending"
    owner = {"kind": "Job", "name": "ci-1--a-1", "uid": earlier, "controller": True}
    harness.pod("a", {"running": {}}, uid="pod-a-again")
    harness.pod("a", {"running": {}}, gone=True, ownerReferences=[owner])
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.step()["phase"] == "Running"


async def test_forged_pod_ends_nothing_and_has_no_log() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    job = {"kind": "Job", "name": "ci-1--a-1", "uid": harness.cluster.objects[JOBS, "ci-1--a-1"]["metadata"]["uid"]}
    run = {"kind": "PipelineRun", "name": "ci-1", "uid": "uid-1", "controller": True}
    for owners in (
        [],
        [job],
        [{**job, "uid": "x", "controller": True}],
        [run],
        [{**job, "kind": "X", "controller": True}],
    ):
        harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded", uid="forged", ownerReferences=owners)
        await harness.reconcile()
        await harness.reconciler.write(KEY)
        assert harness.step()["phase"] == "Pending", owners
    assert harness.logs.followed == []
    harness.pod("a", {"running": {}})
    harness.pod(
        "a", {"terminated": {"exitCode": 0}}, phase="Succeeded", uid="later", creationTimestamp="2030-01-01T00:00:00Z"
    )
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.step()["phase"] == "Running", "a Job has one pod: the first"


async def test_logs_are_followed_only_once_secrets_are_known() -> None:
    harness = ReconcilerHarness(step("a", secrets=[{"secretRef": "s", "key": "k"}]))
    harness.cluster.put(
        SECRETS, {"metadata": {"name": "s", "labels": {"c8s.dev/secret": "true"}}, "data": {"k": "aHVzaA=="}}
    )
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    for restarted in (False, True):
        if restarted:
            harness.restart()
        harness.pod("a", {"running": {}})
        await harness.reconcile()
    assert harness.logs.followed
    assert set(harness.logs.followed) == {("a", (b"hush",))}


async def test_every_log_is_masked_of_the_secrets_of_all_steps() -> None:
    """A step may print a file into which another one wrote its secret."""
    use = {"secretRef": "s", "key": "k"}
    harness = ReconcilerHarness(step("a", secrets=[use]), step("b"))
    harness.cluster.put(
        SECRETS, {"metadata": {"name": "s", "labels": {"c8s.dev/secret": "true"}}, "data": {"k": "aHVzaA=="}}
    )
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    harness.pod("b", {"running": {}})
    await harness.reconcile()
    assert set(harness.logs.followed) == {("b", (b"hush",))}


async def test_logs_are_masked_of_the_credentials_for_the_repository() -> None:
    source = {"git": {"url": "https://git.example.org/a.git", "secretRef": "git"}}
    harness = ReconcilerHarness(step("a"), spec={"source": source})
    credentials = {"username": "Ym90", "password": "aHVzaA==", "known_hosts": "aG9zdCBrZXk="}
    harness.cluster.put(
        SECRETS, {"metadata": {"name": "git", "labels": {"c8s.dev/secret": "true"}}, "data": credentials}
    )
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    renewed = {"metadata": {"name": "git", "labels": {"c8s.dev/secret": "true"}}, "data": {"password": "b3RoZXI="}}
    harness.cluster.put(SECRETS, renewed)
    harness.restart()
    harness.pod("source", {"running": {}})
    await harness.reconcile()
    assert set(harness.logs.followed) == {("source", (b"hush",))}


async def test_the_agents_token_of_another_run_is_no_secret_to_use() -> None:
    harness = ReconcilerHarness(step("a", secrets=[{"secretRef": "ci-7-agent", "key": "token"}]))
    metadata = {"name": "ci-7-agent", "labels": {"c8s.dev/run": "ci-7"}}
    harness.cluster.put(SECRETS, {"metadata": metadata, "data": {"token": "aHVzaA=="}})
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.step()["reason"] == "SecretMissing"


async def test_a_run_that_cannot_be_run_says_why_at_once() -> None:
    harness = ReconcilerHarness(step("a", "nobody"))
    await harness.reconcile()
    assert (harness.stored["status"]["phase"], harness.stored["status"]["reason"]) == ("Failed", "InvalidPipeline")
    assert "nobody" in harness.stored["status"]["message"]


async def test_a_run_that_would_cost_too_much_fails_and_says_why() -> None:
    harness = ReconcilerHarness(step("a", conditional={"paths": [f"*a{n}" for n in range(100)]}))
    harness.cluster.objects[PIPELINE_RUNS, "ci-1"]["spec"]["changedFiles"] = ["a" * 1_000] * 3_000
    harness.run = harness.stored
    await harness.reconcile()
    assert (harness.stored["status"]["phase"], harness.stored["status"]["reason"]) == ("Failed", "TooExpensive")
    assert "100 globs" in harness.stored["status"]["message"]


async def test_copy_of_a_failed_step_must_come_from_the_api() -> None:
    harness = ReconcilerHarness()
    harness.run["spec"]["source"] = {"kept": {"run": "ci-0", "step": "a", "attempt": 1}}
    harness.run["metadata"]["annotations"] = {"c8s.dev/created-by": "cfo"}
    harness.run = harness.cluster.put(PIPELINE_RUNS, harness.run)
    await harness.reconcile()
    assert (harness.stored["status"]["phase"], harness.stored["status"]["reason"]) == ("Failed", "InvalidPipeline")
    assert "only the API creates runs with source.kept" in harness.stored["status"]["message"]
    assert "createdBy" not in harness.stored["status"]
    assert harness.cluster.created == []


async def test_proven_creator_is_in_the_status_and_stays_there() -> None:
    harness = ReconcilerHarness()
    run = harness.run
    run["spec"]["source"] = {"kept": {"run": "ci-0", "step": "a", "attempt": 1}}
    run["metadata"]["annotations"] = {"c8s.dev/created-by": "ann"}
    run["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    proof = sign_creator(SETTINGS.agent_key, run, datetime.fromisoformat("2026-01-01T00:00:02Z").timestamp())
    run["metadata"]["annotations"]["c8s.dev/creator-proof"] = proof
    harness.run = harness.cluster.put(PIPELINE_RUNS, run)
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.stored["status"]["createdBy"] == "ann"
    harness.restart()
    harness.run["metadata"]["annotations"] = {"c8s.dev/created-by": "cfo"}
    harness.pod("a", {"terminated": {"exitCode": 0}}, phase="Succeeded")
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert (harness.stored["status"]["phase"], harness.stored["status"]["createdBy"]) == ("Succeeded", "ann")


async def test_a_strangers_run_waits_for_an_approval_and_not_for_ever() -> None:
    harness = ReconcilerHarness(step("a"))
    run = harness.run
    run["spec"] |= {"commit": "a" * 40, "trigger": {"needsApproval": True, "fork": True, "pullRequest": 3}}
    created = harness.now - timedelta(days=6)
    run["metadata"]["creationTimestamp"] = created.isoformat()
    harness.run = harness.cluster.put(PIPELINE_RUNS, run)
    result = await harness.reconcile()
    assert harness.stored["status"]["reason"] == "ApprovalRequired"
    assert result.requeue_after is not None
    assert timedelta(seconds=result.requeue_after) <= timedelta(days=1)
    harness.now += timedelta(seconds=result.requeue_after)
    harness.run = harness.stored
    await harness.reconcile()
    assert (harness.stored["status"]["phase"], harness.stored["status"]["reason"]) == ("Cancelled", "ApprovalExpired")
    assert harness.cluster.created == []


async def test_an_approved_run_that_has_started_goes_on_after_the_approval_has_expired() -> None:
    harness = ReconcilerHarness(step("a"))
    run = harness.run
    run["spec"] |= {"commit": "a" * 40, "trigger": {"needsApproval": True, "fork": True, "pullRequest": 3}}
    run["metadata"]["creationTimestamp"] = harness.now.isoformat()
    run["spec"]["approved"] = approve(SETTINGS.agent_key, run, "ann", harness.now.timestamp())
    harness.run = harness.cluster.put(PIPELINE_RUNS, run)
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.stored["status"]["reason"] != "ApprovalRequired"
    harness.restart()
    harness.now += timedelta(days=2)
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.stored["status"]["reason"] != "ApprovalRequired"


async def test_a_run_that_keeps_ending_the_operator_fails() -> None:
    harness = ReconcilerHarness(step("a"))
    for _ in range(MAX_LOAD_ATTEMPTS):
        with patch.object(PlanLoader, "load", side_effect=SystemExit), pytest.raises(SystemExit):
            await harness.reconcile()
        harness.restart()
    await harness.reconcile()
    assert (harness.stored["status"]["phase"], harness.stored["status"]["reason"]) == ("Failed", "TooExpensive")
    assert "25 times the operator ended" in harness.stored["status"]["message"]


async def test_a_run_that_others_end_the_operator_with_starts() -> None:
    """The operator may be killed, or ended by another run, while it prepares this one."""
    harness = ReconcilerHarness(step("a"))
    for _ in range(ISOLATED_LOAD_ATTEMPTS):
        with patch("controller.operator.plan_loader.load_run_plan", side_effect=SystemExit), pytest.raises(SystemExit):
            await harness.reconcile()
        harness.restart()
    with patch.object(LimitedWorker, "run", autospec=True, side_effect=LimitedWorker.run) as isolated:
        await harness.reconcile()
    assert isolated.call_count == 1
    assert harness.cache.states[KEY].status.current["phase"] == "Running"


async def test_trying_again_in_one_process_is_no_sign_of_a_bad_run() -> None:
    harness = ReconcilerHarness(step("a"))
    for _ in range(2 * MAX_LOAD_ATTEMPTS):
        with (
            patch("controller.operator.plan_loader.load_run_plan", side_effect=RuntimeError),
            pytest.raises(RuntimeError),
        ):
            await harness.reconcile()
        harness.run = harness.stored
    await harness.reconcile()
    assert harness.stored["metadata"]["annotations"]["c8s.dev/load-attempts"].startswith("1 ")
    assert harness.cache.states[KEY].status.current["phase"] == "Running"


async def test_pull_of_the_step_image_is_a_milestone() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    harness.pod("a", {"waiting": {"reason": "ContainerCreating"}}, phase="Pending")
    about = {"kind": "Pod", "namespace": "team", "name": "a", "uid": "pod-a"}

    def pulling(container: str) -> Json:
        return {"reason": "Pulling", "involvedObject": {**about, "fieldPath": f"spec.{container}"}}

    assert harness.cache.on_image_pull(pulling("initContainers{agent}")) is None, "ours is not theirs"
    assert harness.cache.on_image_pull({"involvedObject": {**about, "uid": "another"}}) is None
    assert harness.cache.on_image_pull(pulling("containers{step}")) == KEY
    assert harness.cache.on_image_pull(pulling("containers{step}")) is None, "once is enough"
    harness.pod("a", {"running": {}})
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert list(harness.step()["attempts"][0]["times"]) == ["queued", "created", "pulling", "running"]


async def test_a_run_that_can_not_fit_is_refused_by_the_operator() -> None:
    matrix = {"dimensions": {"x": [f"{index:03}" + "v" * 240 for index in range(150)]}}
    more = {"matrix": matrix, "retryPolicy": {"maxRetries": 10}}
    harness = ReconcilerHarness(step("a", **more), step("b", "a", **more))
    await harness.reconcile()
    status = harness.stored["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "TooExpensive")
    assert "too large" in status["message"]
    assert "1,048,576" in status["message"]


async def test_report_of_an_agent_causes_a_reconcile_and_other_progress_of_a_job_does_not() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    job = harness.cluster.objects[JOBS, "ci-1--a-1"]
    harness.cache.on_job(job, deleted=False)
    active = {**job, "status": {"active": 1}}
    assert harness.cache.on_job(active, deleted=False, before=job) is None
    annotations = {"c8s.dev/agent-report": '{"began":"2026-01-01T00:00:00Z"}'}
    reported = {**active, "metadata": {**job["metadata"], "annotations": annotations}}
    assert harness.cache.on_job(reported, deleted=False, before=active) == KEY
    assert harness.cache.on_job({**reported, "status": {"ready": 1}}, deleted=False, before=reported) is None


async def test_start_error_is_shown_once_secrets_in_it_are_masked() -> None:
    harness = ReconcilerHarness()
    answers: list[str | None] = [None, "can't start ***"]
    harness.logs.mask = lambda *_: answers[0]  # type: ignore[method-assign,assignment,return-value]
    harness.logs.result = lambda **_: None  # type: ignore[method-assign]
    await harness.reconcile()
    ended = {"terminated": {"reason": "StartError", "exitCode": 128, "message": "can't start hunter2222"}}
    harness.pod("a", ended, phase="Failed")
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.step()["phase"] != "Failed"
    assert "hunter2222" not in str(harness.stored["status"])
    answers.pop(0)
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert (harness.step()["reason"], harness.step()["message"]) == ("StartError", "can't start ***")
