"""Steps that breakpoints hold: what is said of them, and that their time limit stands still."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.operator.decision.actions import StopPod
from controller.operator.decision.pods.agent_report import AgentReport
from tests.unit.controller.operator.world import World, step


def held(at: str, code: int | None = None) -> World:
    world = World(step("a", timeout="10s"), step("b", "a")).reconcile()
    world.start_step("a")
    if at == "before":
        world.reports["a", 1] = AgentReport(held="before")
    else:
        world.reconcile().pass_time(5)
        world.reports["a", 1] = replace(world.reports["a", 1], held=at, code=code)
    return world.reconcile()


@pytest.mark.parametrize(
    ("at", "code", "phase", "words"),
    [
        ("before", None, "Pending", "held before its commands"),
        ("after", 0, "Running", "held after its commands, which succeeded"),
        ("failed", 3, "Running", "which ended with exit code 3"),
    ],
)
def test_held_step_says_where(at: str, code: int | None, phase: str, words: str) -> None:
    world = held(at, code)
    entry = world.step_status("a")
    assert (entry["phase"], entry["reason"], entry["attempts"][0]["held"]) == (phase, "Held", at)
    assert words in entry["message"]
    assert world.started == [("a", 1)]


def test_time_limit_stands_still_while_a_step_is_held() -> None:
    world = held("failed", 1)
    world.pass_time(3000)
    assert world.reconcile().actions == ()


def test_time_limit_counts_from_the_begin_of_the_last_try() -> None:
    world = held("failed", 1)
    world.pass_time(3000)
    world.reports["a", 1] = AgentReport(began=world.now)
    world.reconcile()
    entry = world.step_status("a")
    assert (entry["reason"], "held" in entry["attempts"][0], world.actions) == ("Running", False, ())
    world.pass_time(9)
    assert world.reconcile().actions == ()
    world.pass_time(1)
    assert world.reconcile().actions == (StopPod("team", "a-1-pod", "pod-a-1"),)


def test_accepted_step_has_succeeded() -> None:
    world = held("failed", 1)
    world.pass_time(3000)
    world.reports["a", 1] = AgentReport(world.reports["a", 1].began, world.now, 0)
    world.reconcile()
    assert (world.phases()["a"], world.started[-1]) == ("Succeeded", ("b", 1))


def test_held_step_that_goes_on_fails_as_its_commands_did() -> None:
    world = held("failed", 1)
    world.pass_time(3000)
    world.reports["a", 1] = AgentReport(world.reports["a", 1].began, world.now, 1)
    assert world.reconcile().actions == (), "its time is over, but it has ended by itself"
    world.end_step("a", 1)
    world.reconcile()
    assert (world.step_status("a")["reason"], world.phases()["b"]) == ("ExitCode", "Skipped")


def test_cancellation_stops_a_held_step() -> None:
    world = held("before")
    world.cancel()
    assert world.reconcile().actions == (StopPod("team", "a-1-pod", "pod-a-1"),)
    world.end_step("a", 143)
    assert world.reconcile().phases()["a"] == "Cancelled"
