"""Where steps are held: in a run that goes on, and in the next run of a pipeline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.tui.fakes import run, step
from workbench.client.models import Run, Step
from workbench.runs.holds import NextHolds, describe_hold, holds_now, step_names, with_breakpoint


def test_breakpoint_replaces_those_of_the_same_step() -> None:
    before = (("a", "before"), ("b", "after"), ("a", "failed"))
    assert with_breakpoint(before, "a", "after") == (("b", "after"), ("a", "after"))
    assert with_breakpoint(before, "a", None) == (("b", "after"),)


def test_next_run_takes_the_breakpoints_of_steps_that_it_has() -> None:
    holds = NextHolds()
    for name, at in (("test", "failed"), ("shard (2)", "before"), ("gone", "after"), ("shard", "after")):
        holds.set("shop", name, at)
    holds.set("other", "test", "before")
    holds.set("shop", "shard", None)
    names = step_names({"steps": [{"name": "test"}, {"name": "shard", "matrix": {}}, "no step", {}]})
    assert holds.take("shop", names) == ((("test", "failed"), ("shard (2)", "before")), ["gone"])
    holds.started("shop")
    assert (dict(holds.of("shop")), dict(holds.of("other"))) == ({}, {"test": "before"})


def _waiting(attempts: tuple[str, ...] = ()) -> Step:
    made = replace(step("test", (), "Failed", attempts=max(len(attempts), 1)), phase="Pending")
    return replace(
        made, attempts=tuple(replace(each, phase=phase) for each, phase in zip(made.attempts, attempts, strict=False))
    )


@pytest.mark.parametrize(
    ("found", "phase", "now"),
    [
        (_waiting(), "Running", True),
        (_waiting(("Failed",)), "Running", True),
        (_waiting(("Failed", "Running")), "Running", False),
        (step("test", (), "Running"), "Running", False),
        (step("test", (), "Failed"), "Running", False),
        (_waiting(), "Cancelled", False),
    ],
)
def test_step_is_held_now_until_its_pod_is_made(found: Step, phase: str, now: bool) -> None:
    assert holds_now(run("shop-1", phase, [found]), found) is now


def _describe(shown: Run, following: dict[str, str]) -> str | None:
    return describe_hold(shown, shown.steps[0], following)


def test_hold_is_described_where_it_counts() -> None:
    going = replace(run("shop-1", "Running", [_waiting()]), breakpoints=(("test", "failed"), ("test", "after")))
    assert _describe(going, {"test": "before"}) == ("is held when its commands fail and after its commands succeeded")
    ended = run("shop-1", "Failed", [step("test", (), "Failed")])
    assert _describe(ended, {"test": "before"}) == "is held before its commands in the next run"
    assert _describe(ended, {"other": "before"}) is None
