"""A namespace has at most so many active runs, also when several start at once."""

from __future__ import annotations

from typing import Any

import pytest

from controller.admission.active_runs import ADMITTED_SECONDS, ActiveRuns, limit_of


def run(name: str, phase: str | None = None) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {} if phase is None else {"phase": phase}}


class World:
    def __init__(self, *runs: dict[str, Any]) -> None:
        self.runs, self.now = list(runs), 100.0
        self.active = ActiveRuns(lambda namespace: self.runs if namespace == "team" else [], lambda: self.now)


def test_runs_that_have_not_ended_count_whatever_they_wait_for() -> None:
    world = World(run("a"), run("b", "Queued"), run("c", "Running"), run("d", "Succeeded"), run("e", "Cancelled"))
    refusal = world.active.admit("team", "f", 3)
    assert refusal.startswith("the namespace team has 3 of at most 3 active runs (its annotation c8s.dev/max-active")
    assert world.active.admit("team", "f", 4) == ""
    assert world.active.admit("other", "f", 1) == ""
    assert world.active.admit("other", "g", 0) != ""


def test_those_that_were_admitted_count_before_the_cache_shows_them() -> None:
    world = World()
    assert [bool(world.active.admit("team", f"r{index}", 2)) for index in range(4)] == [False, False, True, True]
    world.runs = [run("r0", "Succeeded"), run("r1", "Running")]
    assert world.active.admit("team", "r4", 2) == "", "one has ended"
    assert world.active.admit("team", "r5", 2) != ""
    world.now += ADMITTED_SECONDS
    assert world.active.admit("team", "r5", 2) == "", "r4 was refused elsewhere"


def test_a_dry_run_takes_no_place_and_a_repeated_request_only_one() -> None:
    world = World()
    for _ in range(3):
        assert world.active.admit("team", "dry", 1, is_dry_run=True) == ""
    for _ in range(3):
        assert world.active.admit("team", "again", 1) == ""


@pytest.mark.parametrize(
    ("text", "limit"),
    [("3", 3), ("0", 0), (" 5 ", 5), ("", None), ("-1", None), ("many", None), ("1" * 10, None), (None, None)],
)
def test_the_limit_is_an_annotation_of_the_namespace(text: str | None, limit: int | None) -> None:
    annotations = {} if text is None else {"c8s.dev/max-active-runs": text}
    assert limit_of({"metadata": {"annotations": annotations}}) == limit
