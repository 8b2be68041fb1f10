"""What a run needs next: order, endings, conditions, limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.operator.decision.actions import ReadManifest, StartAttempt, StopPod
from controller.operator.decision.observation import RUN_TIMER, CreateFailure
from controller.run_types.keys import AttemptKey
from controller.run_types.status_size import json_size
from tests.unit.controller.operator.world import MANIFEST, T0, World, step


def test_steps_start_when_their_dependencies_have_ended() -> None:
    world = World(step("lint"), step("test", "lint"), step("docs")).reconcile()
    assert world.started == [("lint", 1), ("docs", 1)]
    assert world.step_status("test")["reason"] == "WaitingForSteps"
    assert world.step_status("test")["message"] == "waits for lint"
    world.run_step("lint")
    assert world.started[-1] == ("test", 1)


def test_the_order_of_the_file_does_not_matter() -> None:
    world = World(step("deploy", "build"), step("build")).reconcile()
    assert world.started == [("build", 1)]
    assert [s["name"] for s in world.status["steps"]] == ["deploy", "build"]
    assert world.run_step("build").started == [("build", 1), ("deploy", 1)]


def test_a_run_whose_steps_succeed_has_succeeded() -> None:
    world = World(step("a"), step("b", "a")).reconcile()
    assert world.phase == "Running"
    world.run_step("a").run_step("b")
    assert (world.phase, world.status["message"]) == ("Succeeded", "2 of 2 steps succeeded")
    assert world.status["summary"]["succeeded"] == 2
    assert world.status["conditions"][0]["status"] == "True"
    assert world.status["startTime"].startswith("2026-01-01T00:00:00.000000")


def test_steps_after_a_failure_are_skipped_and_name_it() -> None:
    world = World(step("a"), step("b", "a"), step("c", "b"), step("d", "c")).reconcile().run_step("a", 3)
    assert world.phases() == {"a": "Failed", "b": "Skipped", "c": "Skipped", "d": "Skipped"}
    assert {world.step_status(name)["message"] for name in "bcd"} == {"skipped because a failed"}
    assert world.step_status("d")["reason"] == "DependencyFailed"
    assert (world.phase, world.status["message"]) == ("Failed", "a failed: exit code 3")


def test_siblings_of_a_failed_step_finish() -> None:
    world = World(step("a"), step("b"), step("c", "b")).reconcile().run_step("a", 1)
    assert world.phase == "Running"
    world.run_step("b").run_step("c")
    assert world.phases() == {"a": "Failed", "b": "Succeeded", "c": "Succeeded"}
    assert world.phase == "Failed"


def test_allowed_failure_fails_neither_run_nor_dependents() -> None:
    world = World(step("a", allowFailure=True), step("b", "a")).reconcile().run_step("a", 1).run_step("b")
    assert world.phases() == {"a": "Failed", "b": "Succeeded"}
    assert (world.phase, world.status["message"]) == ("Succeeded", "1 of 2 steps succeeded, 1 failed and may")


def test_a_run_cancelled_before_it_began_starts_nothing() -> None:
    world = World(step("a"), step("b", "a"), spec={"cancel": True}).reconcile()
    assert world.started == []
    assert world.phases() == {"a": "Cancelled", "b": "Cancelled"}
    assert world.phase == "Cancelled"


def test_cancel_stops_pods_and_starts_no_further_step() -> None:
    world = World(step("a"), step("b"), step("c", "a")).reconcile().run_step("b")
    world.start_step("a")
    world.cancel()
    world.reconcile()
    assert world.actions == (StopPod("team", "a-1-pod"),)
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


def test_a_run_in_its_timeout_has_failed_even_with_exit_code_0() -> None:
    world = World(step("a"), timeout="1m").reconcile()
    world.start_step("a")
    world.reconcile().pass_time(60)
    world.reconcile()
    world.end_step("a", 0)
    world.reconcile()
    assert (world.phase, world.status["reason"]) == ("Failed", "Timeout")


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


def test_a_cancelled_run_that_waits_for_a_retry_is_not_green() -> None:
    retry = {"maxRetries": 1, "backoffSeconds": 10}
    world = World(step("a", allowFailure=True, retryPolicy=retry)).reconcile().run_step("a", 1)
    world.cancel()
    world.reconcile()
    assert (world.phase, world.step_status("a")["reason"]) == ("Cancelled", "RunCancelled")


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
    assert world.reconcile().actions == (StopPod("team", "a-1-pod"),)
    world.end_step("a", 143)
    world.reconcile()
    assert (world.step_status("a")["reason"], world.step_status("a")["message"]) == (
        "Timeout",
        "stopped after 10s, its timeout",
    )
    assert world.phase == "Failed"


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
    world.reconcile().pass_time(8 * 3600)
    world.elapsed = {AttemptKey("a", 1): timedelta(seconds=4), RUN_TIMER: timedelta(seconds=5)}
    assert world.reconcile().actions == ()
    assert world.requeue_at == world.now + timedelta(seconds=6)
    world.elapsed[AttemptKey("a", 1)] = timedelta(seconds=10)
    assert world.reconcile().actions == (StopPod("team", "a-1-pod"),)


def test_a_clock_that_is_set_back_prolongs_no_timeout() -> None:
    world = World(step("a", timeout="10s")).reconcile()
    world.start_step("a")
    world.reconcile().pass_time(-3600)
    world.elapsed = {AttemptKey("a", 1): timedelta(seconds=10)}
    assert world.reconcile().actions == (StopPod("team", "a-1-pod"),)


def test_a_runs_timeout_stops_what_runs_and_fails_the_run() -> None:
    world = World(step("a"), step("b", "a"), timeout="1m").reconcile()
    world.start_step("a")
    world.reconcile()
    world.pass_time(60)
    assert world.reconcile().actions == (StopPod("team", "a-1-pod"),)
    world.end_step("a", 143)
    world.reconcile()
    assert world.phases() == {"a": "Cancelled", "b": "Cancelled"}
    assert (world.phase, world.status["reason"]) == ("Failed", "Timeout")
    assert world.status["message"] == "the run took too long; 2 steps were stopped"


def test_cancelled_run_stays_cancelled_beyond_its_timeout() -> None:
    world = World(step("a"), timeout="1m").reconcile()
    world.start_step("a")
    world.cancel()
    world.reconcile()
    world.pass_time(100)
    world.end_step("a", 143)
    assert world.reconcile().phase == "Cancelled"


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


@pytest.mark.parametrize(
    ("conditional", "spec", "runs"),
    [
        ({"branch": "release/*"}, {"branch": "main"}, False),
        ({"branch": "release/*"}, {"branch": "release/1"}, True),
        ({"event": "tag"}, {"event": "push"}, False),
        ({"event": "tag"}, {"event": "tag"}, True),
        ({"paths": ["src/**"]}, {"changedFiles": ["docs/a.md"]}, False),
        ({"paths": ["src/**"]}, {"changedFiles": []}, False),
        ({"paths": ["src/**"]}, {"changedFiles": ["docs/a.md", "src/a/b.py"]}, True),
        ({"paths": ["src/**"]}, {}, True),
    ],
)
def test_conditions_on_branch_event_and_changed_files(
    conditional: dict[str, Any], spec: dict[str, Any], runs: bool
) -> None:
    world = World(step("a", conditional=conditional), spec=spec).reconcile()
    assert bool(world.started) == runs
    if not runs:
        assert (world.step_status("a")["phase"], world.step_status("a")["reason"]) == ("Skipped", "ConditionNotMet")
        assert world.phase == "Succeeded"


def test_step_skipped_by_condition_does_not_block_dependents() -> None:
    world = World(step("a", conditional={"branch": "x"}), step("b", "a")).reconcile()
    assert world.started == [("b", 1)]


@pytest.mark.parametrize(
    ("conditional", "after_success", "after_failure"),
    [
        ({"when": "success"}, True, False),
        ({"when": "failure"}, False, True),
        ({"when": "always"}, True, True),
        ({"onSuccess": False}, True, True),
        ({}, True, False),
    ],
)
def test_what_a_step_waits_for(conditional: dict[str, object], after_success: bool, after_failure: bool) -> None:
    for code, runs in ((0, after_success), (1, after_failure)):
        world = World(step("a"), step("b", "a", conditional=conditional)).reconcile().run_step("a", code)
        assert (("b", 1) in world.started) == runs


def test_dependents_wait_for_all_matrix_combinations() -> None:
    matrix = {"dimensions": {"os": ["a", "b"]}}
    world = World(step("test", matrix=matrix), step("deploy", "test")).reconcile()
    first, second = (slug for slug, _ in world.started)
    assert [s["name"] for s in world.status["steps"]] == ["test (os=a)", "test (os=b)", "deploy"]
    world.run_step(first)
    assert world.step_status("deploy")["message"] == "waits for test (os=b)"
    assert world.run_step(second).started[-1] == ("deploy", 1)


def test_max_parallel_counts_pods_until_they_end() -> None:
    world = World(step("a"), step("b"), step("c"), maxParallel=2).reconcile()
    assert world.started == [("a", 1), ("b", 1)]
    assert world.step_status("c")["message"] == "2 steps run and maxParallel is 2"
    world.end_step("a", 0, phase="Running")
    world.reconcile()
    assert (world.step_status("a")["phase"], len(world.started)) == ("Succeeded", 2)
    world.end_step("a", 0)
    assert world.reconcile().started[-1] == ("c", 1)


def test_a_step_that_lacks_a_secret_fails_and_says_which() -> None:
    world = World(step("a"), step("b", "a"), missing={"a": "the secret s has no key k"}).reconcile()
    assert (world.step_status("a")["reason"], world.step_status("a")["message"]) == (
        "SecretMissing",
        "the secret s has no key k",
    )
    assert world.phases() == {"a": "Failed", "b": "Skipped"}
    assert world.started == []


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


def test_a_run_ends_when_its_logs_have_or_when_patience_is_over() -> None:
    world = World(step("a")).reconcile()
    world.start_step("a")
    world.reconcile()
    world.open_logs["a", 1] = ("step",)
    world.end_step("a")
    world.reconcile()
    assert (world.phase, world.status["reason"]) == ("Running", "CollectingLogs")
    world.open_logs.clear()
    assert world.reconcile().phase == "Succeeded"

    again = World(step("a")).reconcile()
    again.open_logs["a", 1] = ("step",)
    again.run_step("a")
    assert again.status["reason"] == "CollectingLogs"
    again.pass_time(30)
    assert again.reconcile().phase == "Succeeded"


def test_logs_of_steps_that_ended_unobserved_are_awaited() -> None:
    world = World(step("a")).reconcile()
    world.start_step("a")
    world.reconcile()
    world.pass_time(3600)
    world.first_seen = world.now
    world.end_step("a", finishedAt="2026-01-01T00:00:30Z")
    world.open_logs["a", 1] = ("step",)
    world.reconcile()
    assert world.status["reason"] == "CollectingLogs"
    assert world.step_status("a")["completionTime"] == "2026-01-01T00:00:30.000000Z"


def test_an_ended_run_stays_as_it_is() -> None:
    world = World(step("a")).reconcile().run_step("a")
    before = world.status
    world.cancel()
    world.pass_time(100)
    assert world.reconcile().status == before
    assert world.actions == ()


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
    assert world.actions == (StopPod("team", "a-1-pod"),)
    assert world.started == []


def test_a_pod_of_a_step_that_is_over_already_is_stopped() -> None:
    world = World(step("a"), step("b")).reconcile().run_step("a")
    world.jobs["a", 2] = world.job(("a", 2))
    world.start_step("a", 2)
    assert world.reconcile().actions == (StopPod("team", "a-2-pod"),)


def test_a_step_whose_job_is_refused_says_why_and_is_tried_again() -> None:
    world = World(step("a"), step("b"))
    world.secrets_ready = True
    until = T0.replace(second=5)
    world.create_failures["a", 1] = CreateFailure("OverQuota", "waits for quota: no", False, until)
    world.reconcile()
    assert world.started == [("b", 1)]
    assert (world.step_status("a")["phase"], world.step_status("a")["reason"]) == ("Pending", "OverQuota")
    assert world.requeue_at == until
    world.now = until
    assert world.reconcile().started[-1] == ("a", 1)


def test_a_step_whose_job_is_refused_for_good_has_failed() -> None:
    world = World(step("a"), step("b", "a"))
    world.secrets_ready = True
    world.create_failures["a", 1] = CreateFailure("JobInvalid", "spec is wrong", True, T0)
    world.reconcile()
    assert (world.phase, world.status["message"]) == ("Failed", "a failed: spec is wrong")


def test_asking_twice_gives_the_same_answer() -> None:
    world = World(step("a"), step("b", "a"))
    world.secrets_ready = True
    first, second = world.decide(), world.decide()
    assert first == second
    assert [type(action) for action in first.actions] == [StartAttempt]


def test_a_dependency_on_a_matrix_is_one_name_in_the_status() -> None:
    matrix = {"dimensions": {"x": [str(index) for index in range(150)]}}
    world = World(step("a", matrix=matrix), step("b", "a", matrix=matrix), step("c", "b")).reconcile()
    assert [world.step_status(name)["dependsOn"] for name in ("a (x=0)", "b (x=7)", "c")] == [[], ["a"], ["b"]]
    assert (world.step_status("b (x=7)")["matrixOf"], "matrixOf" in world.step_status("c")) == ("b", False)
    assert json_size(world.status) < 200_000


def test_combinations_of_the_pipelines_matrix_depend_on_their_own() -> None:
    outer = {"dimensions": {"os": ["linux", "mac"]}}
    own = {"dimensions": {"x": ["1", "2"]}}
    world = World(step("a", matrix=own), step("b", "a"), matrix=outer).reconcile()
    assert world.step_status("a (os=mac, x=1)")["matrixOf"] == "a (os=mac)"
    assert world.step_status("b (os=mac)")["dependsOn"] == ["a (os=mac)"]


def test_earlier_attempts_are_summaries_in_the_status() -> None:
    world = World(step("a", retryPolicy={"maxRetries": 1, "backoffSeconds": 0})).reconcile()
    world.logs["a", 1] = world.logs["a", 2] = {"lines": 3, "lastLine": "boom", "archived": True}
    world.run_step("a", 1).run_step("a", 2, 2)
    first, last = world.step_status("a")["attempts"]
    assert (first["exitCode"], first["log"]) == (1, {"lines": 3, "archived": True})
    assert last["log"]["lastLine"] == "boom"
