"""The command palette finds actions, runs, steps, files, artifacts and pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot

from tests.support.tui.driver import WIDE, sees, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, busy_app, hello, run, step
from workbench.client import SavedPipeline
from workbench.client.errors import UnreachableError
from workbench.tui.command_palette import ThemePalette
from workbench.tui.screens.details import DetailsScreen
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.widgets.tab_bar import TabBar


async def choose(pilot: Pilot[Any], app: FakeWorkbench, typed: str, found: str) -> None:
    """Open the palette, type, and choose what is found first."""
    await pilot.press("ctrl+p")
    await until(pilot, lambda: isinstance(app.screen, CommandPalette))
    await pilot.press(*typed)
    await until(pilot, sees(app, found))
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(app.screen, CommandPalette))


async def test_synonym_with_a_typing_error_finds_an_action() -> None:
    app = busy_app(open_run="wordcount-12")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ test"))
        await choose(pilot, app, "retyr", "This screen: Rerun")
        await until(pilot, lambda: app.controller.rerun_of == [("wordcount-12", False)])


async def test_run_is_opened_from_any_screen() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await choose(pilot, app, "hello-6", "Run hello-6")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.current_run == "hello-6")


async def test_step_of_the_run_is_selected() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await choose(pilot, app, "clone", "Step clone")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.current_step == "clone")
        await until(pilot, sees(app, "Cloning"))


async def test_step_of_a_run_in_the_list_is_opened_with_it() -> None:
    app = FakeWorkbench([run("shop-1", "Succeeded", [step("a", (), "Succeeded"), step("part-07", (), "Succeeded")])])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-1"))
        await choose(pilot, app, "part-07", "Step part-07")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.current_step == "part-07")


@pytest.mark.parametrize(("typed", "found", "tab"), [("yaml", "Details: YAML", "yaml"),
                                                     ("environ", "Details: Environment", "environment")])  # fmt: skip
async def test_details_are_opened_on_their_tab(typed: str, found: str, tab: str) -> None:
    app = busy_app(open_run="wordcount-12")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ test"))
        await choose(pilot, app, typed, found)
        await until(pilot, lambda: isinstance(app.screen, DetailsScreen))
        await until(pilot, lambda: [each.active for each in app.screen.query(TabBar)] == [tab])


async def test_artifact_is_found_by_its_name() -> None:
    app = FakeWorkbench([run("shop-1", "Succeeded", [step("build", (), "Succeeded")])], open_run="shop-1")
    app.controller.artifact_files["out/[bold]report.html"] = b"x"
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ build"))
        await choose(pilot, app, "report.html", "Artifact out/[bold]report.html")
        await until(pilot, sees(app, "Artifacts", "out/[bold]report.html"))


async def test_pipeline_file_is_edited(tmp_path: Path) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "nightly.yaml").write_text("name: nightly\n")
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, tmp_path / ".c8s.yaml"))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await choose(pilot, app, "nightly", "File nightly.yaml")
        file = str(tmp_path / "ci" / "nightly.yaml")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen) and app.screen.current_file == file)


async def test_saved_pipeline_is_run() -> None:
    app = FakeWorkbench([hello(7)])
    app.controller.saved_pipelines = (SavedPipeline("release", {"name": "release", "steps": []}),)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await choose(pilot, app, "release", "Pipeline release")
        await until(pilot, lambda: [each.pipeline["name"] for each in app.controller.created_runs] == ["release"])


async def test_palette_works_without_the_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    app = busy_app(open_run="wordcount-12")

    async def fail(*_: Any, **__: Any) -> Any:
        raise UnreachableError("no connection")

    monkeypatch.setattr(app.controller, "artifacts", fail)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ test"))
        await choose(pilot, app, "hello-7", "Run hello-7")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.current_run == "hello-7")


async def test_themes_are_listed_without_a_failure_where_nothing_fits() -> None:
    app = busy_app()
    async with app.run_test(size=(2, 2), notifications=True) as pilot:
        app.action_change_theme()
        await until(pilot, lambda: isinstance(app.screen, ThemePalette) and bool(app.screen.query(CommandList)))
        app.screen._action_command_list("page_down")  # type: ignore[attr-defined]
        await pilot.press("pagedown", "pageup", "escape")
        assert app.failures == {}
