"""The list of runs, its filter and order, the preview, and saved pipelines."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import NOW, FakeLauncher, FakeWorkbench, busy_app, hello, run, step, webshop
from workbench.client import (
    CopyOf,
    SavedPipeline,
)
from workbench.pipeline_file.load import LintOutcome
from workbench.runs.run_filter import RunFilter, SortOrder
from workbench.tui import app as app_module
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.widgets.runs_table import RunsTable


async def test_preview_shows_the_failed_step() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, sees(app, "✗ unit", "FAILED tests/test_cart.py::test_total", "1 failed, 26 passed"))


async def test_saved_pipeline_can_be_run() -> None:
    launcher = FakeLauncher(hello(8, "Running"))
    app = FakeWorkbench([hello(7)], launcher=launcher)
    app.controller.saved_pipelines = (SavedPipeline("nightly", {"name": "nightly", "steps": []}),)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "PIPELINES", ".c8s.yaml", "folder", "nightly", "cluster"))
        await pilot.press("p", "end", "enter")
        await until(pilot, sees(app, "runs › hello-8"))
        assert app.controller.created_runs[0].pipeline["name"] == "nightly"
        assert app.controller.created_runs[0].source is None
        assert launcher.launches == 0


async def test_debug_runs_are_not_listed() -> None:
    copy = replace(run("shop-debug-1", "Running", [step("kept", (), "Running")]), copy_of=CopyOf("shop-1", "kept", 1))
    app = FakeWorkbench([run("shop-1", "Failed", [step("kept", (), "Failed")]), copy])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-1"))
        assert "shop-debug" not in shown(app)


async def test_filter_narrows_the_list() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        await pilot.press("slash", *"hello", "space", "exclamation_mark", *"cancelled")
        await until(pilot, sees(app, "runs (1 of 4)", "hello-7"))
        assert "hello-6" not in shown(app)
        app.change_run(hello(9, "Succeeded", created_ago=1))
        await until(pilot, sees(app, "runs (2 of 5)", "hello-9"))
        await pilot.press("enter", "escape")
        await until(pilot, sees(app, "runs (5)", "webshop-42"))


async def test_only_the_runs_of_this_pipeline_can_be_shown() -> None:
    launcher = FakeLauncher()
    launcher.pipeline = LintOutcome((), {"name": "hello"})
    app = busy_app(launcher=launcher)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        await pilot.press("a")
        await until(pilot, sees(app, "runs (2 of 4) › only hello", "hello-7", "hello-6"))
        assert "wordcount-12" not in shown(app)
        await pilot.press("a")
        await until(pilot, sees(app, "runs (4)", "wordcount-12"))


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("newest", ["webshop-42", "hello-2", "hello-1"]),
        ("oldest", ["hello-1", "hello-2", "webshop-42"]),
        ("longest", ["webshop-42", "hello-2", "hello-1"]),
        ("name", ["hello-1", "hello-2", "webshop-42"]),
    ],
)
def test_runs_are_sorted(order: SortOrder, names: list[str]) -> None:
    runs = [hello(1, created_ago=900), webshop(), hello(2, created_ago=300)]
    found = [run.name for run in RunFilter(order=order).apply(runs, NOW)]
    if order == "longest":
        assert found[0] == "webshop-42"
    else:
        assert found == names


def test_filter_matches_branch_and_phase() -> None:
    runs = [hello(1, branch="feature/x"), hello(2, "Failed")]
    assert [run.name for run in RunFilter("FEATURE").apply(runs, NOW)] == ["hello-1"]
    assert [run.name for run in RunFilter("failed").apply(runs, NOW)] == ["hello-2"]
    assert RunFilter("failed feature").apply(runs, NOW) == []


async def test_list_shows_the_phase_of_each_run() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "◐ webshop-42", "✗ wordcount-12", "✓ hello-7", "⊘ hello-6"))
        assert "8/12" in shown(app)
        assert "images ignored" in shown(app)


async def test_list_follows_changes() -> None:
    app = FakeWorkbench([hello(1, "Running", created_ago=30)])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "◐ hello-1"))
        app.change_run(hello(1, "Succeeded", created_ago=30))
        app.change_run(hello(2, "Running", created_ago=1))
        await until(pilot, sees(app, "✓ hello-1", "◐ hello-2"))
        assert shown(app).index("hello-2") < shown(app).index("hello-1 ")
        assert app.screen.query_one(RunsTable).cursor == "hello-1", "the cursor stays on its run"


async def test_enter_opens_a_run_and_escape_returns() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        await pilot.press("down", "enter")
        await until(pilot, sees(app, "wordcount-12 ›"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert app.screen.query_one(RunsTable).cursor == "wordcount-12"


async def test_empty_list_explains_how_to_run() -> None:
    app = FakeWorkbench([], launcher=FakeLauncher())
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "No runs yet", "Press r to run /home/me/shop/.c8s.yaml"))


async def test_missing_pipeline_file_is_explained() -> None:
    app = FakeWorkbench([])
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "There is no .c8s.yaml here"))
        await pilot.press("r")
        await until(pilot, sees(app, "no .c8s.yaml in this folder"))


async def test_errors_in_the_filter_are_shown_below_it() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        await pilot.press("slash", *"status:failed")
        await until(pilot, sees(app, "runs (1 of 4)", "wordcount-12"))
        await pilot.press(*" agee<1h")
        await until(pilot, sees(app, "there is no field 'agee'; did you mean age?", "runs (1 of 4)"))
        await pilot.press("escape")
        await until(pilot, lambda: sees(app, "runs (4)")() and not sees(app, "there is no field")())


async def test_run_asks_when_the_cursor_is_on_a_run_of_another_pipeline() -> None:
    launcher = FakeLauncher(hello(8, "Running"))
    launcher.pipeline = LintOutcome((), {"name": "hello"})
    app = busy_app(launcher=launcher)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        app.screen.query_one(RunsTable).go_to("wordcount-12")
        await pilot.press("r")
        await until(pilot, sees(app, "Run which one?", "a run of wordcount", "wordcount-12 again"))
        await pilot.press("escape")
        await until(pilot, lambda: "Run which one?" not in shown(app))
        assert launcher.launches == 0
        assert app.controller.rerun_of == []
        await pilot.press("r", "right", "enter")
        await until(pilot, lambda: app.controller.rerun_of == [("wordcount-12", False)])
        await pilot.press("escape")
        await until(pilot, sees(app, "runs (4)"))
        app.screen.query_one(RunsTable).go_to("wordcount-12")
        await pilot.press("r", "enter")
        await until(pilot, lambda: launcher.launches == 1)


async def test_run_does_not_ask_on_a_run_of_this_pipeline() -> None:
    launcher = FakeLauncher(hello(8, "Running"))
    launcher.pipeline = LintOutcome((), {"name": "hello"})
    app = busy_app(launcher=launcher)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        app.screen.query_one(RunsTable).go_to("hello-7")
        await pilot.press("r")
        await until(pilot, lambda: launcher.launches == 1)


async def test_a_folder_without_a_pipeline_says_whose_runs_are_listed() -> None:
    app = busy_app()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "There is no .c8s.yaml in this folder: these are the runs of all folders."))
        app.screen.query_one(RunsTable).go_to("hello-7")
        await pilot.press("r")
        await until(pilot, sees(app, "Run hello-7 again?", "e creates one"))
        await pilot.press("y")
        await until(pilot, lambda: app.controller.rerun_of == [("hello-7", False)])


@pytest.mark.parametrize("size", [WIDE, SMALL, (60, 20)])
async def test_the_number_of_a_run_with_a_long_name_is_shown(size: tuple[int, int]) -> None:
    name = "nightly-integration-tests-of-everything-we-have-in-this-repository"
    app = FakeWorkbench([run(f"{name}-{n}", "Succeeded", [step("a", (), "Succeeded")]) for n in (1041, 1042)])
    async with app.run_test(size=size) as pilot:
        await until(pilot, sees(app, "1041 ", "1042 ", "nightly-"))


async def test_filter_that_matches_nothing_says_so() -> None:
    app = busy_app()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        await pilot.press("slash", *"zzz", "enter")
        await until(pilot, sees(app, "No run matches the filter.", "esc clears it."))
        await pilot.press("escape")
        await until(pilot, sees(app, "webshop-42"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


async def test_ages_go_on_while_no_run_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "_IDLE_TICK", 0.05)
    passed = [0]
    app = FakeWorkbench([hello(7, created_ago=30), hello(6, created_ago=3_500)])
    app._clock = lambda: NOW + timedelta(seconds=passed[0])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "30s", "58m"))
        await pilot.press("slash", *"age<1h", "enter")
        await until(pilot, sees(app, "hello-7", "hello-6"))
        passed[0] = 240
        await until(pilot, sees(app, "hello-7", "4m"))
        await until(pilot, lambda: "hello-6" not in shown(app).partition("───")[0])


async def test_footer_offers_what_a_field_and_a_list_of_pipelines_do() -> None:
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(hello(8, "Running")))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7", "⏎ Open"))
        await pilot.press("O", "slash")
        await until(pilot, sees(app, "esc Show all"))
        await pilot.press("x", "escape")
        await until(pilot, lambda: "esc Show all" not in shown(app))
        assert "oldest" in shown(app).splitlines()[0], "the order is kept"
        await pilot.press("p")
        await until(pilot, sees(app, "⏎ Run"))
