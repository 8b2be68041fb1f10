"""Lists: what the clock draws anew, and where they are scrolled to at first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import NOW, FakeWorkbench, hello, run, step
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.runs_table import RunsTable
from workbench.tui.widgets.step_list import StepList


def _drawn(monkeypatch: pytest.MonkeyPatch, kind: type[StepList] | type[RunsTable]) -> list[int | None]:
    """The rows that are drawn anew; None for all."""
    found: list[int | None] = []
    monkeypatch.setattr(kind, "refresh_line", lambda _, y: found.append(y))
    monkeypatch.setattr(kind, "refresh", lambda *_, **__: found.append(None))
    return found


async def test_clock_draws_only_active_steps_and_bars_that_change(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        step("done", (), "Succeeded", started_ago=600, duration=300),
        step("long", ("done",), "Running", started_ago=590),
    ]
    app = FakeWorkbench([run("shop-1", "Running", [*steps, step("later", ("long",))])], open_run="shop-1")
    moment = [NOW]
    app._clock = app.feed._now = lambda: moment[0]
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "◐ long"))
        steps_list = app.screen.query_one(StepList)
        steps_list.tick()
        drawn = _drawn(monkeypatch, StepList)
        found = []
        for seconds in (0, 1, 2, 6_000):
            moment[0] = NOW + timedelta(seconds=seconds)
            steps_list.tick()
            found.append([*drawn])
            drawn.clear()
        assert found == [[], [1], [1], [0, 1]]


async def test_a_change_that_is_not_seen_draws_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [step("unit", (), "Running"), step("lint", (), "Running")]
    app = FakeWorkbench([run("shop-1", "Running", steps)], open_run="shop-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "◐ unit", "◐ lint"))
        graph, steps_list = app.screen.query_one(DagView), app.screen.query_one(StepList)
        drawn = _drawn(monkeypatch, StepList)
        whole: list[None] = []
        monkeypatch.setattr(graph, "refresh", lambda *_, **__: whole.append(None))
        for number, lint in enumerate(("Running", "Succeeded")):
            changed = replace(
                run("shop-1", "Running", [steps[0], step("lint", (), lint)]), resource_version=f"{number}"
            )
            graph.show_run(changed)
            steps_list.show_run(changed)
            assert (drawn, whole) == (([], []) if lint == "Running" else ([1], [None]))


async def test_a_row_that_cannot_be_compared_is_drawn_to_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FakeWorkbench([hello(7)], fail_fast=False)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        with monkeypatch.context() as broken:
            broken.setattr(RunsTable, "draw_row", lambda *_: 1 / 0)
            app.screen.query_one(RunsTable).refresh_changed()
            await until(pilot, sees(app, "This part has failed: ZeroDivisionError"))
        app.screen.query_one(RunsTable).refresh_changed()
        await until(pilot, sees(app, "hello-7"))


async def test_clock_draws_nothing_of_a_run_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FakeWorkbench([hello(7)], open_run="hello-7")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ greet"))
        assert isinstance(app.screen, RunScreen)
        drawn = _drawn(monkeypatch, StepList)
        app.screen.clock_ticked()
        assert drawn == []


async def test_clock_draws_active_and_new_runs_and_sometimes_all_ages(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [hello(9, "Running"), hello(8, created_ago=30), hello(7, created_ago=3600)]
    app = FakeWorkbench(runs)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-9"))
        table = app.screen.query_one(RunsTable)
        table._ticks = 0
        drawn = _drawn(monkeypatch, RunsTable)
        later = NOW + timedelta(seconds=70)
        monkeypatch.setattr(table, "_now", lambda: later)
        found = []
        for _ in range(10):
            table.tick()
            found.append([*drawn])
            drawn.clear()
        # Nothing is drawn in this test, so that rows go on to differ. The last one is an hour old before and after.
        assert found == [[1]] * 9 + [[0, 1]]


async def test_list_that_was_empty_shows_its_first_rows_and_no_scrollbar_below() -> None:
    steps = [step(f"step-{number}", (), "Failed" if number == 4 else "Succeeded") for number in range(20)]
    app = FakeWorkbench([hello(7)], open_run="shop-1")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "no longer exists"))
        app.change_run(run("shop-1", "Failed", steps))
        # The failed step is selected, and visible without scrolling.
        await until(pilot, sees(app, "step-0 ", "✗ step-4 "))
        steps_list = app.screen.query_one(StepList)
        await until(pilot, lambda: steps_list.cursor == "step-4" and steps_list.scroll_offset.y == 0)
        assert not steps_list.show_horizontal_scrollbar
        await pilot.press("2", "G")
        await until(pilot, lambda: "step-19" in shown(app))
