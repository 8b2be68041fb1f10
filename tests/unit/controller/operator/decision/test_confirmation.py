"""Ends that a step tells itself, and what the kubelet makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from controller.operator.decision.actions import StopPod
from tests.unit.controller.operator.world import MANIFEST, World, step

Json = dict[str, Any]


def reported(*more: Json, code: int = 0, **of_step: Any) -> World:
    """A step `a` that has reported its end, before anything else shows it."""
    world = World(step("a", **of_step), step("b", "a"), *more).reconcile()
    world.start_step("a")
    world.reconcile().pass_time(1)
    world.tell_end("a", code)
    return world.reconcile()


def test_next_step_starts_when_the_end_is_told() -> None:
    world = reported()
    attempt = world.step_status("a")["attempts"][0]
    assert (world.phases()["a"], world.started) == ("Succeeded", [("a", 1), ("b", 1)])
    assert (attempt["unconfirmed"], attempt["exitCode"]) == (True, 0)
    assert attempt["times"]["finished"] == world.step_status("a")["completionTime"]
    world.end_step("a")
    world.reconcile()
    attempt = world.step_status("a")["attempts"][0]
    assert ("unconfirmed" in attempt, "reportedExitCode" in attempt, world.phases()["a"]) == (False, False, "Succeeded")


def test_run_does_not_end_before_the_kubelet_has_confirmed() -> None:
    world = World(step("a")).reconcile()
    world.start_step("a")
    world.reconcile()
    world.tell_end("a")
    assert (world.reconcile().phases(), world.phase) == ({"a": "Succeeded"}, "Running")
    world.end_step("a")
    assert world.reconcile().phase == "Succeeded"


def test_failure_is_the_kubelets_to_tell() -> None:
    """It knows whether the memory was too little, or the node went away."""
    world = reported(code=137)
    assert (world.phases()["a"], world.started) == ("Running", [("a", 1)])
    assert world.step_status("a")["message"] == "its commands ended with exit code 137"
    world.end_step("a", 137, reason="OOMKilled")
    world.reconcile()
    assert (world.step_status("a")["reason"], world.phases()["b"]) == ("OOMKilled", "Skipped")
    assert "reportedExitCode" not in world.step_status("a")["attempts"][0], "it is the same code"


@pytest.mark.parametrize("more", [{}, {"reason": "OOMKilled"}])
def test_verdict_of_the_kubelet_is_recorded_and_what_began_goes_on(more: Json) -> None:
    world = reported(step("c", "a", "b"))
    world.start_step("b")
    world.reconcile()
    world.end_step("a", 0 if more else 3, phase="Running", **more)
    world.reconcile()
    entry, attempt = world.step_status("a"), world.step_status("a")["attempts"][0]
    assert (entry["phase"], attempt["phase"], attempt["reportedExitCode"]) == ("Failed", "Failed", 0)
    assert entry["reason"] == attempt["reason"] == ("OOMKilled" if more else "ExitCode")
    assert entry["message"].endswith("although its first process reported exit code 0")
    assert (world.phases()["b"], world.actions) == ("Running", ())
    world.end_step("a", 0 if more else 3, **more)
    world.end_step("b")
    world.reconcile()
    assert world.phases() == {"a": "Failed", "b": "Succeeded", "c": "Skipped"}
    assert world.phase == "Failed"


def test_disputed_attempt_is_not_tried_again() -> None:
    world = reported(retryPolicy={"maxRetries": 2})
    world.end_step("a", 1)
    world.reconcile().pass_time(3600)
    assert world.reconcile().started == [("a", 1), ("b", 1)]


def test_other_code_that_a_failed_step_told_is_noted() -> None:
    world = reported(code=2)
    world.end_step("a", 137)
    attempt = world.reconcile().step_status("a")["attempts"][0]
    assert (attempt["exitCode"], attempt["reportedExitCode"]) == (137, 2)


def test_failure_that_was_told_and_did_not_happen_is_a_success() -> None:
    world = reported(code=2)
    world.end_step("a", 0)
    attempt = world.reconcile().step_status("a")["attempts"][0]
    assert (attempt["phase"], attempt["reportedExitCode"]) == ("Succeeded", 2)


def test_disruption_after_the_end_changes_nothing() -> None:
    world = reported()
    world.disrupt("a")
    attempt = world.reconcile().step_status("a")["attempts"][0]
    assert (attempt["phase"], "unconfirmed" in attempt) == ("Succeeded", False)


def test_end_that_is_told_in_a_disruption_is_not_believed() -> None:
    world = World(step("a"), step("b", "a")).reconcile()
    world.start_step("a")
    world.reconcile()
    world.tell_end("a")
    world.pods["a", 1]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z"
    assert world.reconcile().phases()["a"] == "Running"


@pytest.mark.parametrize("why", ["cancelled", "timeout"])
def test_end_that_is_told_by_a_stopped_step_is_not_believed(why: str) -> None:
    world = World(step("a", timeout="10s"), step("b", "a")).reconcile()
    world.start_step("a")
    world.reconcile().pass_time(20 if why == "timeout" else 1)
    if why == "cancelled":
        world.cancel()
    world.reconcile()
    assert any(isinstance(action, StopPod) for action in world.actions)
    world.tell_end("a")
    assert world.reconcile().phases()["a"] == "Running"
    world.end_step("a", 0)
    assert world.reconcile().phases()["a"] == ("Failed" if why == "timeout" else "Cancelled")


def test_container_that_goes_on_after_its_told_end_is_stopped() -> None:
    world = reported()
    assert world.requeue_at is not None
    world.pass_time(59)
    assert not world.reconcile().actions
    world.pass_time(1)
    assert world.reconcile().actions == (StopPod("team", "a-1-pod", "pod-a-1"),)
    world.end_step("a", 137, phase="Failed")
    assert world.reconcile().phases()["a"] == "Failed"


def test_artifacts_are_read_before_the_next_step_starts() -> None:
    world = World(step("a", artifacts=["*.txt"]), step("b", "a")).reconcile()
    world.start_step("a")
    world.reconcile()
    world.tell_end("a")
    world.reconcile()
    assert (world.step_status("a")["reason"], world.started) == ("Uploading", [("a", 1)])
    world.stored["a", 1] = MANIFEST
    world.tell_end("a", stored=True)
    world.reconcile()
    assert (world.phases()["a"], world.started[-1]) == ("Succeeded", ("b", 1))
    assert world.step_status("a")["artifacts"] == {"files": 1, "bytes": 3}


def test_artifacts_that_were_not_stored_fail_with_the_pod() -> None:
    world = World(step("a", artifacts=["*.txt"]), step("b", "a")).reconcile()
    world.start_step("a")
    world.reconcile()
    world.tell_end("a", stored=False)
    assert world.reconcile().step_status("a")["reason"] == "Uploading"
    world.end_step("a")
    assert world.reconcile().step_status("a")["reason"] == "ArtifactUploadFailed"


def test_unconfirmed_success_outlives_a_restart() -> None:
    world = reported()
    world.milestones.clear()
    world.timers = type(world.timers)()
    world.end_step("a", 5)
    assert world.reconcile().step_status("a")["reason"] == "ExitCode"
