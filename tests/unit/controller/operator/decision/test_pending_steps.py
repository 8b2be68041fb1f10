"""Steps that have not started: when they start, and why they wait or never start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.operator.decision.observation import CreateFailure
from controller.run_types.status_size import json_size
from tests.unit.controller.operator.world import T0, World, step


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


def test_steps_after_a_failure_are_skipped_and_name_it() -> None:
    world = World(step("a"), step("b", "a"), step("c", "b"), step("d", "c")).reconcile().run_step("a", 3)
    assert world.phases() == {"a": "Failed", "b": "Skipped", "c": "Skipped", "d": "Skipped"}
    assert {world.step_status(name)["message"] for name in "bcd"} == {"skipped because a failed"}
    assert world.step_status("d")["reason"] == "DependencyFailed"
    assert (world.phase, world.status["message"]) == ("Failed", "a failed: exit code 3")


def test_allowed_failure_fails_neither_run_nor_dependents() -> None:
    world = World(step("a", allowFailure=True), step("b", "a")).reconcile().run_step("a", 1).run_step("b")
    assert world.phases() == {"a": "Failed", "b": "Succeeded"}
    assert (world.phase, world.status["message"]) == ("Succeeded", "1 of 2 steps succeeded, 1 failed and may")


def test_a_run_cancelled_before_it_began_starts_nothing() -> None:
    world = World(step("a"), step("b", "a"), spec={"cancel": True}).reconcile()
    assert world.started == []
    assert world.phases() == {"a": "Cancelled", "b": "Cancelled"}
    assert world.phase == "Cancelled"


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


def test_a_step_whose_job_is_refused_says_why_and_is_tried_again() -> None:
    world = World(step("a"), step("b"))
    world.secrets_ready = True
    until = T0.replace(second=5)
    retry_at = world.monotonic + 5
    world.create_failures["a", 1] = CreateFailure("OverQuota", "waits for quota: no", False, retry_at)
    world.reconcile()
    assert world.started == [("b", 1)]
    assert (world.step_status("a")["phase"], world.step_status("a")["reason"]) == ("Pending", "OverQuota")
    assert world.requeue_at == until
    world.now = until
    assert world.reconcile().started[-1] == ("a", 1)


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_refused_job_is_retried_whatever_the_clock_does(jump: int) -> None:
    world = World(step("a"))
    world.secrets_ready = True
    world.create_failures["a", 1] = CreateFailure("OverQuota", "waits", False, world.monotonic + 5)
    world.reconcile().set_clock(jump)
    assert world.reconcile().started == []
    assert world.requeue_at == world.now + timedelta(seconds=5)
    world.pass_time(5)
    assert world.reconcile().started == [("a", 1)]


def test_a_step_whose_job_is_refused_for_good_has_failed() -> None:
    world = World(step("a"), step("b", "a"))
    world.secrets_ready = True
    world.create_failures["a", 1] = CreateFailure("JobInvalid", "spec is wrong", True, 0.0)
    world.reconcile()
    assert (world.phase, world.status["message"]) == ("Failed", "a failed: spec is wrong")


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
