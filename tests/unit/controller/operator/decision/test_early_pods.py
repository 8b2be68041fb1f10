"""Pods that are made before their steps are due: which, how many, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from controller.operator.decision.actions import OpenGate
from controller.operator.decision.early_pods import MAX_WAIT
from controller.operator.decision.observation import BlockingRun
from controller.operator.decision.pods.agent_report import AgentReport
from tests.unit.controller.operator.world import World, step

Json = dict[str, Any]


def world_of(*steps: Json, **more: Any) -> World:
    """A run of which every pod may be made ahead."""
    world = World(*steps, **more)
    world.prestartable = frozenset(each.name for each in world.steps)
    return world


def chain(length: int, **more: Any) -> World:
    names = "abcdefghij"[:length]
    return world_of(*(step(name, *names[index - 1 : index]) for index, name in enumerate(names)), **more)


def wait_at_gate(world: World, slug: str) -> None:
    world.set_pod(slug, phase="Running", containerStatuses=[{"name": "step", "state": {"running": {}}}])


def test_two_pods_are_made_ahead_and_opened_in_turn() -> None:
    world = chain(5).reconcile()
    assert (world.started, world.made_ahead) == ([("a", 1)], ["b", "c"])
    wait_at_gate(world, "b")
    world.run_step("a")
    assert (world.opened, world.made_ahead) == (["b"], ["b", "c", "d"])
    assert world.started == [("a", 1)], "no second Job is made for b"
    for name in "bcde":
        world.run_step(name)
    assert (world.phase, world.opened, world.made_ahead, world.withdrawn) == (
        "Succeeded",
        ["b", "c", "d", "e"],
        ["b", "c", "d", "e"],
        [],
    )


def test_step_at_its_gate_has_no_attempt_and_says_what_it_waits_for() -> None:
    world = chain(2).reconcile()
    entry = world.step_status("b")
    assert (entry["phase"], entry["reason"]) == ("Pending", "WaitingAtGate")
    assert entry["message"] == "its pod is being made ahead; waits for a"
    assert "attempts" not in entry
    assert "startTime" not in entry
    wait_at_gate(world, "b")
    assert world.reconcile().step_status("b")["message"] == "its pod is ready at its gate; waits for a"


def test_opened_attempt_counts_from_the_opening() -> None:
    world = chain(2).reconcile()
    wait_at_gate(world, "b")
    world.start_step("a")
    world.reconcile()
    world.pass_time(600)
    world.end_step("a")
    due = world.now
    [attempt] = world.reconcile().step_status("b")["attempts"]
    assert attempt["early"] is True
    assert attempt["times"]["created"] == due.isoformat(timespec="microseconds").replace("+00:00", "Z")
    [attempt] = world.reconcile().step_status("b")["attempts"]
    assert attempt["times"]["scheduled"] == attempt["times"]["created"], "it did not wait for that"


def test_time_limit_does_not_count_at_the_gate() -> None:
    world = world_of(step("a", timeout="2h"), step("b", "a", timeout="1m")).reconcile()
    wait_at_gate(world, "b")
    world.start_step("a")
    world.reconcile().pass_time(3600)
    assert world.reconcile().actions == ()
    world.end_step("a")
    world.reconcile()
    world.start_step("b")
    world.reconcile().pass_time(59)
    assert world.reconcile().actions == ()


@pytest.mark.parametrize(("spec", "pipeline", "made"), [(None, 1, 1), (0, 3, 0), (3, 0, 3), (None, None, 2)])
def test_run_overrides_the_pipeline_and_that_the_setting(spec: int | None, pipeline: int | None, made: int) -> None:
    world = chain(
        5,
        spec={} if spec is None else {"prestart": spec},
        **({} if pipeline is None else {"prestart": pipeline}),
    ).reconcile()
    assert len(world.made_ahead) == made


def test_what_is_due_next_comes_first() -> None:
    world = world_of(step("a"), step("b", "a"), step("c", "b"), step("d", "a")).reconcile()
    assert world.made_ahead == ["b", "d"]


def test_nothing_is_made_ahead_of_a_step_whose_dependency_has_not_begun() -> None:
    world = world_of(step("a"), step("b"), step("c", "a", "b"), maxParallel=1).reconcile()
    assert (world.started, world.made_ahead) == ([("a", 1)], [])


def test_max_parallel_counts_pods_at_their_gates() -> None:
    world = chain(5, maxParallel=2).reconcile()
    assert world.made_ahead == ["b"]


def test_pod_at_its_gate_gives_way_to_a_step_that_is_due() -> None:
    world = world_of(
        step("a"), step("b", retryPolicy={"maxRetries": 1, "backoffSeconds": 5}), step("c", "a"), maxParallel=3
    ).reconcile()
    wait_at_gate(world, "c")
    world.start_step("b")
    world.reconcile()
    world.end_step("b", 1)
    world.reconcile().pass_time(5)
    world.pipeline = world.pipeline.model_copy(update={"max_parallel": 2})
    world.reconcile()
    assert (world.started[-1], world.withdrawn) == (("b", 2), ["c"])


def test_skipped_step_is_removed_with_nothing_run() -> None:
    world = chain(3).reconcile()
    wait_at_gate(world, "b")
    world.run_step("a", 1)
    assert world.phases() == {"a": "Failed", "b": "Skipped", "c": "Skipped"}
    assert (world.opened, sorted(world.withdrawn), world.phase) == ([], ["b", "c"], "Failed")
    assert "attempts" not in world.step_status("b")


def test_run_does_not_end_before_what_was_made_ahead_is_removed() -> None:
    world = chain(2).reconcile()
    wait_at_gate(world, "b")
    world.start_step("a")
    world.reconcile()
    world.end_step("a", 1)
    assert world.decide().status["phase"] == "Running"
    assert world.reconcile().phase == "Failed"


def test_cancel_removes_what_waits() -> None:
    world = chain(3).reconcile()
    wait_at_gate(world, "b")
    world.start_step("a")
    world.cancel()
    world.reconcile()
    assert sorted(world.withdrawn) == ["b", "c"]
    world.end_step("a", 143, phase="Failed")
    assert world.reconcile().phases() == dict.fromkeys("abc", "Cancelled")


def test_conditions_on_the_result_decide() -> None:
    world = world_of(
        step("a"),
        step("after-failure", "a", conditional={"when": "failure"}),
        step("always", "a", conditional={"when": "always"}),
    )
    world.prestartable -= {"after-failure"}
    assert world.reconcile().made_ahead == ["always"]
    world.run_step("a", 1)
    assert (world.opened, world.started[-1]) == (["always"], ("after-failure", 1))


def test_nothing_is_made_ahead_while_pods_lack_room() -> None:
    world = chain(3)
    world.is_crowded = True
    assert world.reconcile().made_ahead == []


def test_pods_at_their_gates_make_room() -> None:
    world = chain(3).reconcile()
    world.is_crowded = True
    assert sorted(world.reconcile().withdrawn) == ["b", "c"]
    assert world.step_status("b")["reason"] == "WaitingForSteps"
    world.is_crowded = False
    assert world.reconcile().made_ahead == ["b", "c"], "not again"
    assert world.run_step("a").started[-1] == ("b", 1)


@pytest.mark.parametrize("how", ["unschedulable", "over quota"])
def test_pod_that_finds_no_room_itself_is_removed(how: str) -> None:
    world = chain(3).reconcile()
    if how == "over quota":
        world.pod_create_errors["b", 1] = "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
    else:
        lacking = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
        world.set_pod("b", node=None, phase="Pending", conditions=[lacking])
    world.reconcile()
    assert set(world.withdrawn) >= {"b"}
    assert world.step_status("b")["reason"] == "WaitingForSteps"


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Failed", "reason": "Evicted"},
        {"phase": "Running", "containerStatuses": [{"name": "step", "state": {"terminated": {"exitCode": 0}}}]},
    ],
)
def test_pod_that_ended_at_its_gate_is_replaced_when_its_step_is_due(status: Json) -> None:
    world = chain(2).reconcile()
    world.set_pod("b", **status)
    world.reconcile()
    assert (world.withdrawn, world.step_status("b")["reason"]) == (["b"], "WaitingForSteps")
    world.run_step("a")
    assert (world.started[-1], world.opened) == (("b", 1), [])
    assert world.run_step("b").phase == "Succeeded"


def test_pod_that_ended_in_the_moment_its_step_is_due_is_replaced_too() -> None:
    world = chain(2).reconcile()
    world.start_step("a")
    world.reconcile()
    world.set_pod("b", phase="Running", containerStatuses=[{"name": "step", "state": {"terminated": {"exitCode": 0}}}])
    world.end_step("a")
    world.reconcile()
    assert (world.withdrawn, world.opened, world.started[-1]) == (["b"], [], ("b", 1))


def test_forged_reports_at_a_closed_gate_say_nothing() -> None:
    world = chain(3).reconcile()
    wait_at_gate(world, "b")
    world.reports["b", 1] = AgentReport(began=world.now, ended=world.now, code=0)
    world.start_step("a")
    world.reconcile()
    assert world.step_status("b")["reason"] == "WaitingAtGate"
    assert world.opened == []


def test_nobody_waits_for_ever() -> None:
    world = world_of(step("a", timeout="100h"), step("b", "a")).reconcile()
    wait_at_gate(world, "b")
    world.start_step("a")
    world.reconcile()
    assert world.requeue_at is not None
    assert world.requeue_at <= world.now + MAX_WAIT
    world.pass_time(MAX_WAIT.total_seconds())
    assert world.reconcile().withdrawn == ["b"]


def test_recorded_attempt_whose_gate_was_not_opened_is_opened_by_whoever_sees_it() -> None:
    world = chain(2).reconcile()
    wait_at_gate(world, "b")
    world.start_step("a")
    world.reconcile()
    world.end_step("a")
    decision = world.decide()
    assert [type(action) for action in decision.actions] == [OpenGate]
    world.status = decision.status
    assert world.reconcile().opened == ["b"]
    assert world.reconcile().opened == ["b"], "once"


def test_opened_job_without_a_recorded_attempt_is_adopted() -> None:
    world = chain(2).reconcile()
    wait_at_gate(world, "b")
    world.start_step("a")
    world.reconcile()
    world.end_step("a")
    before = world.status
    world.reconcile()
    opened = world.now
    world.status = before
    world.pass_time(30)
    [attempt] = world.reconcile().step_status("b")["attempts"]
    assert attempt["early"] is True
    assert attempt["times"]["created"] == opened.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert (world.opened, world.started) == (["b"], [("a", 1)])


def test_job_made_ahead_by_an_earlier_process_is_found() -> None:
    world = chain(2).reconcile()
    world.status = {**world.status, "steps": [{**s, "reason": "WaitingForSteps"} for s in world.status["steps"]]}
    assert world.reconcile().step_status("b")["reason"] == "WaitingAtGate"
    assert world.made_ahead == ["b"]


def test_nothing_is_made_ahead_in_a_run_that_waits_for_another_one() -> None:
    world = chain(2)
    world.blocking_runs = (BlockingRun("ci-0", "uid-0", created_before=True, cancel_requested=False),)
    assert (world.reconcile().started, world.made_ahead) == ([], [])


def test_nothing_is_made_ahead_before_the_source_is_known() -> None:
    """Its commit is a variable of the steps, and its snapshot is what their agents fetch."""
    world = world_of(step("a"), step("b", "a"), spec={"source": {"git": {"url": "https://example.org/x.git"}}})
    world.reconcile()
    assert world.started == [("source", 1)]
    assert world.made_ahead == []
