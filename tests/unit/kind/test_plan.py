"""Plans: what is done is not done again, what fails stops the rest, and everything is told."""

from __future__ import annotations

import asyncio

import pytest

from kind.errors import KindError
from kind.plan import ProgressCallback, Step, StepEvent, StepFailedError, describe_plan, execute


def step(name: str, did: list[str], *needs: str, known: str | None = None, fails: str = "") -> Step:
    async def check() -> str | None:
        return known

    async def action(say: ProgressCallback) -> str:
        say(f"{name} at work")
        if fails:
            raise KindError(fails, "do this")
        did.append(name)
        return f"{name} is there"

    return Step(name, name.upper(), f"makes {name}", action, check, needs)


async def test_steps_wait_for_what_they_need() -> None:
    did: list[str] = []
    await execute([step("c", did, "a", "b"), step("b", did, "a"), step("a", did)], lambda _: None)
    assert did == ["a", "b", "c"]


async def test_what_is_done_already_is_left_alone_and_said() -> None:
    did: list[str] = []
    events: list[StepEvent] = []
    await execute([step("a", did, known="there already"), step("b", did, "a")], events.append, clock=lambda: 1.0)
    assert did == ["b"]
    assert [(each.step, each.kind, each.text) for each in events] == [
        ("a", "started", "makes a"),
        ("a", "already", "there already"),
        ("b", "started", "makes b"),
        ("b", "said", "b at work"),
        ("b", "done", "b is there"),
    ]


async def test_a_failure_names_the_step_and_the_remedy_and_begins_nothing_behind_it() -> None:
    did: list[str] = []
    with pytest.raises(StepFailedError, match=r"A: it broke\. do this") as caught:
        await execute([step("a", did, fails="it broke"), step("b", did, "a")], lambda _: None)
    assert caught.value.step == "a"
    assert did == []


async def test_steps_that_need_nothing_of_each_other_run_side_by_side() -> None:
    met = asyncio.Barrier(2)

    async def action(say: ProgressCallback) -> str:
        async with asyncio.timeout(5):
            await met.wait()
        return ""

    await execute([Step("a", "A", "", action), Step("b", "B", "", action)], lambda _: None)


async def test_a_need_that_no_step_meets_is_a_fault_of_the_plan() -> None:
    with pytest.raises(ValueError, match="'x'"):
        await execute([step("a", [], "x")], lambda _: None)


def test_a_plan_is_data() -> None:
    assert describe_plan([step("a", [])]) == [{"step": "a", "title": "A", "does": "makes a", "needs": []}]
