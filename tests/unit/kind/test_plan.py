"""Plans: order, checks, failures and events of steps."""

from __future__ import annotations

import asyncio

import pytest

from kind.errors import KindError
from kind.plan import ProgressCallback, Step, StepEvent, StepFailedError, describe_plan, execute


def step(name: str, did: list[str], *needs: str, known: str | None = None, fails: str = "") -> Step:
    async def check() -> str | None:
        return known

    async def action(report: ProgressCallback) -> str:
        report(f"{name} at work")
        if fails:
            raise KindError(fails, "do this")
        did.append(name)
        return f"{name} is there"

    return Step(name, name.upper(), f"makes {name}", action, check, needs)


async def test_steps_run_after_their_dependencies() -> None:
    did: list[str] = []
    await execute([step("c", did, "a", "b"), step("b", did, "a"), step("a", did)], lambda _: None)
    assert did == ["a", "b", "c"]


async def test_step_that_was_done_already_is_not_repeated() -> None:
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


async def test_failed_step_is_named_and_its_dependents_do_not_start() -> None:
    did: list[str] = []
    with pytest.raises(StepFailedError, match=r"A: it broke\. do this") as caught:
        await execute([step("a", did, fails="it broke"), step("b", did, "a")], lambda _: None)
    assert caught.value.step == "a"
    assert did == []


async def test_independent_steps_run_concurrently() -> None:
    met = asyncio.Barrier(2)

    async def action(report: ProgressCallback) -> str:
        async with asyncio.timeout(60):
            await met.wait()
        return ""

    await execute([Step("a", "A", "", action), Step("b", "B", "", action)], lambda _: None)


async def test_unknown_dependency_is_an_error_of_the_plan() -> None:
    with pytest.raises(ValueError, match="'x'"):
        await execute([step("a", [], "x")], lambda _: None)


def test_plan_is_described_as_json_values() -> None:
    assert describe_plan([step("a", [])]) == [{"step": "a", "title": "A", "does": "makes a", "needs": []}]
