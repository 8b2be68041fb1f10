"""The list of runs is narrowed and ordered as somebody types, and stays live meanwhile."""

from __future__ import annotations

import pytest

from tests.tui.fakes import NOW, busy_app, hello, webshop
from tests.tui.test_workbench import WIDE, sees, shown, until
from workbench.runs.run_filter import RunFilter, SortOrder


async def test_words_narrow_the_list_and_escape_shows_all_again() -> None:
    scene = busy_app()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "runs (4)"))
        await pilot.press("slash", *"hello", "space", "exclamation_mark", *"cancelled")
        await until(pilot, sees(scene, "runs (1 of 4)", "hello-7"))
        assert "hello-6" not in shown(scene)
        scene.change(hello(9, "Succeeded", created_ago=1))
        await until(pilot, sees(scene, "runs (2 of 5)", "hello-9"))
        await pilot.press("enter", "escape")
        await until(pilot, sees(scene, "runs (5)", "webshop-42"))


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("newest", ["webshop-42", "hello-2", "hello-1"]),
        ("oldest", ["hello-1", "hello-2", "webshop-42"]),
        ("longest", ["webshop-42", "hello-2", "hello-1"]),
        ("name", ["hello-1", "hello-2", "webshop-42"]),
    ],
)
def test_runs_are_put_in_the_order_asked_for(order: SortOrder, names: list[str]) -> None:
    runs = [hello(1, created_ago=900), webshop(), hello(2, created_ago=300)]
    found = [run.name for run in RunFilter(order=order).apply(runs, NOW)]
    if order == "longest":
        assert found[0] == "webshop-42"
    else:
        assert found == names


def test_a_word_is_looked_for_in_branch_and_phase_too() -> None:
    runs = [hello(1, branch="feature/x"), hello(2, "Failed")]
    assert [run.name for run in RunFilter("FEATURE").apply(runs, NOW)] == ["hello-1"]
    assert [run.name for run in RunFilter("failed").apply(runs, NOW)] == ["hello-2"]
    assert RunFilter("failed feature").apply(runs, NOW) == []
