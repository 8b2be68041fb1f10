"""Steps that have started: how they are stopped, retried and ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.operator.cache.timers import RunTimers
from controller.operator.decision.actions import ReadManifest, StopPod
from controller.operator.decision.pods.agent_report import AgentReport
from tests.unit.controller.operator.world import MANIFEST, World, step


def test_cancel_stops_pods_and_starts_no_further_step() -> None:
    world = World(step("a"), step("b"), step("c", "a")).reconcile().run_step("b")
    world.start_step("a")
    world.cancel()
    world.reconcile()
    assert world.actions == (StopPod("team", "a-1-pod", "pod-a-1"),)
    assert world.phases() == {"a": "Running", "b": "Succeeded", "c": "Cancelled"}
    assert world.reconcile().actions == (), "it is asked once"
    world.end_step("a", 143)
    world.reconcile()
    assert (world.step_status("a")["phase"], world.step_status("a")["reason"]) == ("Cancelled", "RunCancelled")
    assert (world.phase, world.status["reason"]) == ("Cancelled", "RunCancelled")


def test_cancel_deletes_job_of_unscheduled_pod() -> None:
    world = World(step("a"), step("b")).reconcile()
    world.set_pod("a", node=None, phase="Pending")
    world.cancel()
    world.reconcile().reconcile()
    assert world.jobs == {}
    assert world.phases() == {"a": "Cancelled", "b": "Cancelled"}
    assert world.phase == "Cancelled"


@pytest.mark.parametrize("code", [0, 1, 143])
def test_a_cancelled_step_is_cancelled_whatever_its_exit_code(code: int) -> None:
    world = World(step("a"), step("b", "a")).reconcile()
    world.start_step("a")
    world.cancel()
    world.reconcile()
    world.end_step("a", code)
    assert world.reconcile().phases() == {"a": "Cancelled", "b": "Cancelled"}
    assert world.step_status("a")["attempts"][0]["reason"] == "RunCancelled"
    assert (world.phase, world.status["reason"]) == ("Cancelled", "RunCancelled")


def test_a_step_in_its_timeout_has_failed_even_with_exit_code_0() -> None:
    world = World(step("a", timeout="10s", artifacts=["a.txt"]), step("publish", "a")).reconcile()
    world.start_step("a")
    world.reconcile().pass_time(10)
    world.reconcile()
    world.manifests["a", 1] = MANIFEST
    world.end_step("a", 0)
    world.reconcile()
    assert world.phases() == {"a": "Failed", "publish": "Skipped"}
    assert world.step_status("a")["reason"] == "Timeout"
    assert (world.phase, world.started) == ("Failed", [("a", 1)])


def test_forced_end_is_recognised_by_the_pod_after_a_restart() -> None:
    world = World(step("a", timeout="10s")).reconcile()
    world.start_step("a")
    world.reconcile()
    written = world.status
    world.pass_time(11)
    world.reconcile()
    world.status = written
    world.end_step("a", 0)
    assert world.reconcile().step_status("a")["reason"] == "Timeout"


def test_step_timeout_starts_with_its_container() -> None:
    world = World(step("a", timeout="10s")).reconcile()
    world.pass_time(3600)
    world.set_pod("a", phase="Pending", containerStatuses=[{"name": "step", "state": {"waiting": {}}}])
    assert world.reconcile().actions == ()
    world.start_step("a")
    world.reconcile()
    assert world.requeue_at is not None
    assert (world.requeue_at - world.now).total_seconds() == 10
    world.pass_time(10)
    assert world.reconcile().actions == (StopPod("team", "a-1-pod", "pod-a-1"),)
    world.end_step("a", 143)
    world.reconcile()
    assert (world.step_status("a")["reason"], world.step_status("a")["message"]) == (
        "Timeout",
        "stopped after 10s, its timeout",
    )
    assert world.phase == "Failed"


def test_step_timeout_starts_with_the_commands_and_not_with_the_container() -> None:
    world = World(step("a", timeout="10s")).reconcile()
    world.start_step("a")
    world.reports.clear()
    world.reconcile().pass_time(3600)
    world.reconcile()
    entry = world.step_status("a")
    assert (entry["phase"], entry["reason"], world.actions) == ("Pending", "Fetching", ())
    world.reports["a", 1] = AgentReport(began=world.now)
    world.reconcile()
    assert (world.step_status("a")["phase"], world.step_status("a")["reason"]) == ("Running", "Running")
    assert world.requeue_at is not None
    assert (world.requeue_at - world.now).total_seconds() == 10


def test_pod_whose_agent_does_not_start_is_stopped() -> None:
    world = World(step("a")).reconcile()
    world.start_step("a")
    world.reports.clear()
    agent = {"name": "agent", "restartCount": 3, "state": {}, "lastState": {"terminated": {"exitCode": 2}}}
    world.pods["a", 1]["status"]["initContainerStatuses"] = [agent]
    world.reconcile()
    assert world.step_status("a")["reason"] == "FetchFailed"
    assert world.actions == (StopPod("team", "a-1-pod", "pod-a-1"),)


def test_timeout_is_recognised_after_a_restart() -> None:
    world = World(step("a", timeout="10s", retryPolicy={"maxRetries": 2})).reconcile()
    world.start_step("a")
    world.reconcile()
    written = world.status
    world.pass_time(11)
    world.reconcile()
    world.status = written
    world.end_step("a", 143)
    assert world.reconcile().step_status("a")["reason"] == "Timeout"
    assert world.started == [("a", 1)]


def test_a_suspended_machine_uses_up_no_timeout() -> None:
    world = World(step("a", timeout="10s"), timeout="1m").reconcile()
    world.start_step("a")
    world.reconcile().pass_time(4)
    world.set_clock(8 * 3600)
    assert world.reconcile().actions == ()
    assert world.requeue_at == world.now + timedelta(seconds=6)
    world.pass_time(6)
    assert world.reconcile().actions == (StopPod("team", "a-1-pod", "pod-a-1"),)


def test_a_clock_that_is_set_back_prolongs_no_timeout() -> None:
    world = World(step("a", timeout="10s")).reconcile()
    world.start_step("a")
    world.reconcile().set_clock(-3600)
    world.pass_time(10)
    assert world.reconcile().actions == (StopPod("team", "a-1-pod", "pod-a-1"),)


def test_a_failed_step_is_tried_again_after_its_back_off() -> None:
    world = World(step("a", retryPolicy={"maxRetries": 1, "backoffSeconds": 10})).reconcile().run_step("a", 1)
    assert (world.step_status("a")["phase"], world.step_status("a")["reason"]) == ("Pending", "Retrying")
    assert world.step_status("a")["message"] == "attempt 1 failed (exit code 1); the next begins in 10 s"
    assert world.requeue_at is not None
    world.now = world.requeue_at
    assert world.reconcile().started == [("a", 1), ("a", 2)]
    world.run_step("a", 0, 2)
    assert world.phase == "Succeeded"
    assert [a["phase"] for a in world.step_status("a")["attempts"]] == ["Failed", "Succeeded"]


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_back_off_lasts_as_long_whatever_the_clock_does(jump: int) -> None:
    world = World(step("a", retryPolicy={"maxRetries": 1, "backoffSeconds": 10})).reconcile().run_step("a", 1)
    world.pass_time(4)
    world.set_clock(jump)
    assert world.reconcile().started == [("a", 1)]
    assert world.requeue_at == world.now + timedelta(seconds=6)
    world.pass_time(6)
    assert world.reconcile().started == [("a", 1), ("a", 2)]


def test_a_back_off_before_a_restart_counts_by_the_wall_clock() -> None:
    world = World(step("a", retryPolicy={"maxRetries": 1, "backoffSeconds": 10})).reconcile().run_step("a", 1)
    world.timers = RunTimers()
    world.set_clock(7)
    world.reconcile()
    assert world.requeue_at == world.now + timedelta(seconds=3)
    world.pass_time(3)
    assert world.reconcile().started == [("a", 1), ("a", 2)]


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_missing_job_is_looked_for_whatever_the_clock_does(jump: int) -> None:
    world = World(step("a")).reconcile()
    world.jobs.clear()
    world.set_clock(jump)
    assert world.reconcile().missing_jobs == set()
    world.pass_time(20)
    assert world.reconcile().missing_jobs == {("a", 1)}


def test_after_the_last_retry_the_step_has_failed() -> None:
    world = (
        World(step("a"), retryPolicy={"maxRetries": 1, "backoffSeconds": 0})
        .reconcile()
        .run_step("a", 1)
        .run_step("a", 2, 2)
    )
    assert world.step_status("a")["message"] == "exit code 2"
    assert world.phase == "Failed"


def test_disrupted_attempt_is_retried_at_once_uncounted() -> None:
    world = World(step("a", retryPolicy={"maxRetries": 1, "backoffSeconds": 0})).reconcile()
    world.disrupt("a")
    world.reconcile()
    assert world.started[-1] == ("a", 2)
    world.run_step("a", 1, 2).run_step("a", 1, 3)
    assert [a["reason"] for a in world.step_status("a")["attempts"]] == ["Disrupted", "ExitCode", "ExitCode"]
    assert world.phase == "Failed"


def test_repeatedly_disrupted_step_fails() -> None:
    world = World(step("a")).reconcile()
    for number in range(1, 7):
        world.disrupt("a", number)
        world.reconcile()
    assert len(world.started) == 6
    assert world.step_status("a")["message"] == "interrupted: the node was low on memory"
    assert world.phase == "Failed"


def test_a_retry_keeps_within_max_parallel() -> None:
    policy = {"maxRetries": 1, "backoffSeconds": 5}
    world = World(step("a", retryPolicy=policy), step("b"), maxParallel=1).reconcile().run_step("a", 1)
    assert world.started == [("a", 1), ("b", 1)]
    world.pass_time(5)
    world.reconcile()
    assert world.step_status("a")["reason"] == "MaxParallel"
    assert world.run_step("b").started[-1] == ("a", 2)


def test_step_is_uploading_until_its_manifest_is_committed() -> None:
    world = World(step("a", artifacts=["*.txt"]), step("b", "a")).reconcile()
    world.start_step("a")
    world.reconcile()
    world.end_step("a", 0, phase="Running")
    world.reconcile()
    assert (world.step_status("a")["phase"], world.step_status("a")["reason"]) == ("Running", "Uploading")
    assert world.started == [("a", 1)]
    world.stored["a", 1] = MANIFEST
    world.end_step("a", 0)
    world.reconcile()
    assert world.step_status("a")["artifacts"] == {"files": 1, "bytes": 3}
    assert "uploaded" in world.step_status("a")["attempts"][0]["times"]
    assert world.started[-1] == ("b", 1)


def test_a_step_whose_artifacts_were_not_committed_has_failed() -> None:
    world = World(step("a", artifacts=["*.txt"])).reconcile().run_step("a")
    assert (world.step_status("a")["phase"], world.step_status("a")["reason"]) == ("Failed", "ArtifactUploadFailed")


def test_artifacts_of_a_failed_step_are_counted() -> None:
    world = World(step("a", artifacts=["*.txt"])).reconcile()
    world.start_step("a")
    world.pods["a", 1]["spec"]["initContainers"] = [
        {"name": "agent", "env": [{"name": "C8S_ARTIFACTS", "value": '["*.txt"]'}]}
    ]
    world.reconcile()
    world.end_step("a", 1, phase="Running")
    world.reconcile()
    assert (world.step_status("a")["phase"], world.phase) == ("Failed", "Running"), "its upload goes on"
    world.stored["a", 1] = MANIFEST
    world.end_step("a", 1)
    world.reconcile()
    assert world.step_status("a")["artifacts"] == {"files": 1, "bytes": 3}
    assert world.phase == "Failed"


def test_the_manifest_is_read_once() -> None:
    world = World(step("a", artifacts=["x"])).reconcile()
    world.end_step("a", 0)
    decision = world.decide()
    assert [action for action in decision.actions if isinstance(action, ReadManifest)] == [ReadManifest("a", 1)]
    world.reconcile()
    assert not any(isinstance(action, ReadManifest) for action in world.decide().actions)


def test_the_first_verdict_is_final() -> None:
    world = World(step("a"), step("b")).reconcile().run_step("a", 0)
    before = world.step_status("a")
    world.end_step("a", 137, phase="Failed", reason="OOMKilled")
    world.reconcile()
    assert world.step_status("a")["phase"] == "Succeeded"
    assert world.step_status("a")["completionTime"] == before["completionTime"]


def test_missing_job_is_verified_before_its_attempt_is_lost() -> None:
    world = World(step("a")).reconcile()
    job = world.jobs.pop(("a", 1))
    world.reconcile()
    assert world.requeue_at is not None
    world.now = world.requeue_at
    world.jobs["a", 1] = job
    assert world.reconcile().started == [("a", 1)], "the cache was only late"
    world.jobs.clear()
    world.reconcile()
    assert world.step_status("a")["attempts"][0]["message"] == "its Job was deleted"
    assert world.started == [("a", 1), ("a", 2)]


def test_unknown_job_is_adopted_and_not_created_again() -> None:
    world = World(step("a"), step("b", "a"))
    world.jobs["a", 1] = world.job(("a", 1))
    world.start_step("a")
    world.cancel()
    world.reconcile()
    assert world.step_status("a")["phase"] == "Running", "it runs, whatever was written before"
    assert world.actions == (StopPod("team", "a-1-pod", "pod-a-1"),)
    assert world.started == []


def test_a_pod_of_a_step_that_is_over_already_is_stopped() -> None:
    world = World(step("a"), step("b")).reconcile().run_step("a")
    world.jobs["a", 2] = world.job(("a", 2))
    world.start_step("a", 2)
    assert world.reconcile().actions == (StopPod("team", "a-2-pod", "pod-a-2"),)
