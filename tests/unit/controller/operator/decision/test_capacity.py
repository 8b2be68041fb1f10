"""What a refusal says: wait, or never; and what no node can give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.operator.decision.attempts import stamp
from controller.operator.decision.capacity import never_fits, shortage
from controller.pipeline.model import Step
from tests.unit.controller.operator.world import World, step

REFUSED = (
    'Error creating: pods "x" is forbidden: exceeded quota: small, requested: limits.memory=1Gi,requests.cpu={asked}, '
    "used: limits.memory=0,requests.cpu={used}, limited: limits.memory=4Gi,requests.cpu=2"
)


def test_a_step_that_fits_later_waits_and_says_the_numbers() -> None:
    found = shortage(REFUSED.format(asked="1500m", used="1"))
    assert found is not None
    assert (found.reason, found.for_ever) == ("OverQuota", False)
    assert "requests.cpu: 1500m asked for, 1 of 2 in use" in found.message
    assert "small" in found.message


def test_a_step_above_the_hard_limit_never_fits() -> None:
    found = shortage(REFUSED.format(asked="2001m", used="0"))
    assert found is not None
    assert (found.reason, found.for_ever) == ("NeverFits", True)
    assert "requests.cpu 2001m" in found.message
    assert "small has 2 in all" in found.message


@pytest.mark.parametrize("words", ["exceeded quota: q", "exceeded quota: q, requested: x, used: y, limited: z"])
def test_a_refusal_without_readable_numbers_is_waited_for(words: str) -> None:
    found = shortage(words)
    assert found is not None
    assert found.reason == "OverQuota"


@given(st.text(max_size=80))
def test_no_words_break_the_reading(words: str) -> None:
    shortage(words)
    assert shortage(f"exceeded quota: {words}") is not None


def sized(cpu: str | None = None, memory: str | None = None) -> Step:
    resources = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    return Step.model_validate(step("a", resources=resources))


def node(cpu: str, memory: str) -> dict[str, object]:
    return {"status": {"allocatable": {"cpu": cpu, "memory": memory}}}


def test_only_what_no_node_can_give_never_fits() -> None:
    nodes = [node("2", "4Gi"), node("8", "1Gi")]
    assert never_fits(sized("8"), nodes) is None
    assert never_fits(sized("8", "4Gi"), nodes) is None, "that no one node has both, the cluster says"
    assert "cpu 9, and the largest of 2 nodes has 8" in str(never_fits(sized("9"), nodes))
    assert "memory 5Gi" in str(never_fits(sized(memory="5Gi"), nodes))


def test_nothing_is_said_of_nodes_that_are_not_known() -> None:
    assert never_fits(sized("9"), []) is None
    assert never_fits(sized("9"), [node("strange", "1Gi")]) is None


def test_a_pod_refused_for_ever_ends_its_step_and_takes_the_job_away() -> None:
    world = World(step("a"), retryPolicy={"maxRetries": 3, "backoffSeconds": 0}).look()
    world.held["a", 1] = REFUSED.format(asked="3", used="0")
    world.look()
    assert (world.entry("a")["phase"], world.entry("a")["reason"]) == ("Failed", "NeverFits")
    assert ("a", 1) not in world.jobs
    assert len(world.entry("a")["attempts"]) == 1, "trying again would not help"


def test_a_pod_refused_for_now_is_waited_for() -> None:
    world = World(step("a")).look()
    world.held["a", 1] = REFUSED.format(asked="1", used="2")
    world.look()
    assert (world.entry("a")["phase"], world.entry("a")["reason"]) == ("Pending", "OverQuota")
    world.do("a")
    assert world.phase == "Succeeded"


def test_where_the_time_went_is_told_from_the_queue_on() -> None:
    world = World(step("a"), step("b", "a"), step("c"), maxParallel=1).look()
    began = stamp(world.now)
    world.pass_time(2)
    world.do("a")
    ended = world.entry("a")["completionTime"]
    world.do("b").do("c").do("b").do("c")
    queued = {name: world.entry(name)["attempts"][0]["times"]["queued"] for name in "abc"}
    assert queued == {"a": began, "b": ended, "c": began}


def test_the_critical_path_is_what_the_end_waited_for() -> None:
    world = World(step("slow"), step("quick"), step("last", "slow", "quick"), step("aside")).look()
    world.do("aside").do("quick")
    world.pass_time(5)
    world.do("slow").do("last")
    assert world.status["criticalPath"] == ["slow", "last"]


def test_a_failed_step_says_its_first_failure_and_its_last_line() -> None:
    world = World(step("a")).look()
    world.running("a")
    world.look()
    world.open_logs["a", 1] = ("step",)
    world.ended("a", 2)
    world.look()
    assert world.entry("a")["message"] == "exit code 2"
    first = {"line": 7, "text": "t.py:3: AssertionError", "file": "t.py", "fileLine": 3}
    world.open_logs.clear()
    world.logs["a", 1] = {"lines": 9, "archived": True, "firstFailure": first, "lastLine": "1 failed"}
    for _ in range(2):
        world.look()
        assert world.entry("a")["message"] == "exit code 2: 1 failed"
        assert world.entry("a")["firstFailure"] == first
