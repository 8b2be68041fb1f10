"""What a refusal says: wait, or never; and what no node can give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.operator.decision.attempts import format_time
from controller.operator.decision.pods.capacity import parse_quota_error, unschedulable_reason
from controller.pipeline.model import Step
from tests.unit.controller.operator.world import World, step

REFUSED = (
    'Error creating: pods "x" is forbidden: exceeded quota: small, requested: limits.memory=1Gi,requests.cpu={asked}, '
    "used: limits.memory=0,requests.cpu={used}, limited: limits.memory=4Gi,requests.cpu=2"
)


def test_a_step_that_fits_later_waits_and_says_the_numbers() -> None:
    found = parse_quota_error(REFUSED.format(asked="1500m", used="1"))
    assert found is not None
    assert (found.reason, found.permanent) == ("OverQuota", False)
    assert "requests.cpu: 1500m asked for, 1 of 2 in use" in found.message
    assert "small" in found.message


def test_a_step_above_the_hard_limit_never_fits() -> None:
    found = parse_quota_error(REFUSED.format(asked="2001m", used="0"))
    assert found is not None
    assert (found.reason, found.permanent) == ("NeverFits", True)
    assert "requests.cpu 2001m" in found.message
    assert "small has 2 in all" in found.message


@pytest.mark.parametrize("words", ["exceeded quota: q", "exceeded quota: q, requested: x, used: y, limited: z"])
def test_a_refusal_without_readable_numbers_is_waited_for(words: str) -> None:
    found = parse_quota_error(words)
    assert found is not None
    assert found.reason == "OverQuota"


@given(st.text(max_size=80))
def test_no_words_break_the_reading(words: str) -> None:
    parse_quota_error(words)
    assert parse_quota_error(f"exceeded quota: {words}") is not None


def sized(cpu: str | None = None, memory: str | None = None) -> Step:
    resources = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    return Step.model_validate(step("a", resources=resources))


def node(cpu: str, memory: str) -> dict[str, object]:
    return {"status": {"allocatable": {"cpu": cpu, "memory": memory}}}


def test_only_what_no_node_can_give_never_fits() -> None:
    nodes = [node("2", "4Gi"), node("8", "1Gi")]
    assert unschedulable_reason(sized("8"), nodes) is None
    assert unschedulable_reason(sized("8", "4Gi"), nodes) is None, "that no one node has both, the cluster says"
    assert "cpu 9, and the largest of 2 nodes has 8" in str(unschedulable_reason(sized("9"), nodes))
    assert "memory 5Gi" in str(unschedulable_reason(sized(memory="5Gi"), nodes))


def test_nothing_is_said_of_nodes_that_are_not_known() -> None:
    assert unschedulable_reason(sized("9"), []) is None
    assert unschedulable_reason(sized("9"), [node("strange", "1Gi")]) is None


def test_pod_beyond_quota_fails_its_step_and_deletes_the_job() -> None:
    world = World(step("a"), retryPolicy={"maxRetries": 3, "backoffSeconds": 0}).reconcile()
    world.pod_create_errors["a", 1] = REFUSED.format(asked="3", used="0")
    world.reconcile()
    assert (world.step_status("a")["phase"], world.step_status("a")["reason"]) == ("Failed", "NeverFits")
    assert ("a", 1) not in world.jobs
    assert len(world.step_status("a")["attempts"]) == 1, "trying again would not help"


def test_a_pod_refused_for_now_is_waited_for() -> None:
    world = World(step("a")).reconcile()
    world.pod_create_errors["a", 1] = REFUSED.format(asked="1", used="2")
    world.reconcile()
    assert (world.step_status("a")["phase"], world.step_status("a")["reason"]) == ("Pending", "OverQuota")
    world.run_step("a")
    assert world.phase == "Succeeded"


def test_queue_times_and_the_critical_path_are_reported() -> None:
    world = World(step("a"), step("b", "a"), step("c"), maxParallel=1).reconcile()
    began = format_time(world.now)
    world.pass_time(2)
    world.run_step("a")
    ended = world.step_status("a")["completionTime"]
    world.run_step("b").run_step("c").run_step("b").run_step("c")
    queued = {name: world.step_status(name)["attempts"][0]["times"]["queued"] for name in "abc"}
    assert queued == {"a": began, "b": ended, "c": began}


def test_the_critical_path_is_what_the_end_waited_for() -> None:
    world = World(step("slow"), step("quick"), step("last", "slow", "quick"), step("aside")).reconcile()
    world.run_step("aside").run_step("quick")
    world.pass_time(5)
    world.run_step("slow").run_step("last")
    assert world.status["criticalPath"] == ["slow", "last"]


def test_a_failed_step_says_its_first_failure_and_its_last_line() -> None:
    world = World(step("a")).reconcile()
    world.start_step("a")
    world.reconcile()
    world.open_logs["a", 1] = ("step",)
    world.end_step("a", 2)
    world.reconcile()
    assert world.step_status("a")["message"] == "exit code 2"
    first = {"line": 7, "text": "t.py:3: AssertionError", "file": "t.py", "fileLine": 3}
    world.open_logs.clear()
    world.logs["a", 1] = {"lines": 9, "archived": True, "firstFailure": first, "lastLine": "1 failed"}
    for _ in range(2):
        world.reconcile()
        assert world.step_status("a")["message"] == "exit code 2: 1 failed"
        assert world.step_status("a")["firstFailure"] == first


def test_failed_step_names_the_command_that_failed() -> None:
    world = World(step("a", commands=["make", "make test"])).reconcile()
    world.start_step("a")
    world.reconcile()
    world.end_step("a", 2)
    world.logs["a", 1] = {"lines": 9, "archived": True, "lastLine": "1 failed", "lastCommand": 1}
    world.reconcile()
    assert world.step_status("a")["message"] == "exit code 2 of `make test`: 1 failed"


@pytest.mark.parametrize("commands", [["b=1\necho b\nmake test\n"], ["true", "b=1\necho b\nmake test\n"]])
def test_failed_command_of_several_lines_is_not_taken_for_its_first(commands: list[str]) -> None:
    world = World(step("a", commands=commands)).reconcile()
    world.start_step("a")
    world.reconcile()
    world.end_step("a", 2)
    world.logs["a", 1] = {"lines": 9, "archived": True, "lastLine": "b", "lastCommand": len(commands) - 1}
    world.reconcile()
    assert world.step_status("a")["message"] == "exit code 2 of `b=1 …`: b"
