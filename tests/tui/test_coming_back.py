"""Where one was is there again at the next start, and nothing that is gone or broken is in the way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tui.fakes import FakeLauncher, Scene, busy_app, hello
from tests.tui.test_start import FakeProvider
from tests.tui.test_workbench import SMALL, WIDE, sees, shown, until
from workbench.config.preferences import Preferences
from workbench.session.view_state import Layout, SavedView, ViewState
from workbench.tui.base_app import AppOptions
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.run import RunScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.services.interfaces import LaunchResult
from workbench.tui.setup.app import SetupApp
from workbench.tui.terminal.ascii_filter import AsciiFilter
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.log.grid import LogGrid
from workbench.tui.widgets.log.view import LogView
from workbench.tui.widgets.runs_table import RunsTable


@pytest.fixture
def memory(tmp_path: Path) -> ViewState:
    return ViewState(tmp_path / "kept", tmp_path)


async def test_the_list_has_its_cursor_filter_order_and_preview_again(memory: ViewState) -> None:
    scene = busy_app(options=AppOptions(view_state=memory))
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "webshop-42", "FAILED"))
        await pilot.press("slash", *"hello", "enter", "o", "end", "v")
        await until(pilot, sees(scene, "runs (2 of 4) › hello, oldest"))
        kept = scene.app.screen.query_one(RunsTable).cursor
        await pilot.press("q")
    again = busy_app(options=AppOptions(view_state=memory))
    async with again.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(again, "runs (2 of 4) › hello, oldest"))
        assert again.app.screen.query_one(RunsTable).cursor == kept == "hello-7"
        assert not again.app.screen.query_one("#preview").display
        await pilot.press("escape")
        await until(pilot, sees(again, "webshop-42"))


async def test_the_run_is_opened_again_with_its_step_logs_and_look(memory: ViewState) -> None:
    scene = busy_app(options=AppOptions(view_state=memory))
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "webshop-42"))
        await pilot.press("enter")
        await until(pilot, sees(scene, "runs › webshop-42", "26 passed"))
        await pilot.press("1", "v", "2", "home", "3", "w", "plus")
        await until(pilot, lambda: len(scene.app.screen.query_one(LogGrid).panes) == 2)
        await pilot.press("w", "2", "end")
        await until(pilot, sees(scene, "webshop-42 › notify"))
        await pilot.press("q")
    again = busy_app(options=AppOptions(view_state=memory))
    async with again.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(again, "runs › webshop-42 › notify"))
        await until(pilot, lambda: again.app.screen.query_one(LogGrid).step_names() == ["clone", "notify"])
        assert again.app.screen.query_one(LogGrid).active_step_name == "notify"
        assert again.app.screen.query_one(DagView).form == "list"
        assert {view.wrap for view in again.app.screen.query(LogView)} == {True}
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(again.app.screen, RunsScreen))


async def test_a_run_that_is_gone_is_no_error(memory: ViewState) -> None:
    memory.save_view(
        SavedView("default", "run", "gone-1", None, {"run": {"run": "gone-1", "step": "x", "panes": "x\ny"}})
    )
    scene = Scene([hello(7)], options=AppOptions(view_state=memory))
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "runs (1)", "hello-7"))
        await until(pilot, lambda: isinstance(scene.app.screen, RunsScreen))
        assert len(scene.app.messages) == 0


async def test_a_run_that_is_gone_under_the_editor_is_passed_over_on_the_way_back(
    memory: ViewState, tmp_path: Path
) -> None:
    file = tmp_path / ".c8s.yaml"
    file.write_text("name: shop\n")
    memory.save_view(SavedView("default", "editor", "gone-1", str(file), {}))
    scene = Scene([hello(7)], options=AppOptions(view_state=memory))
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "edit ›", "name: shop"))
        await until(pilot, lambda: scene.app.feed.runs.loaded)
        await pilot.press("escape")
        await until(pilot, sees(scene, "runs (1)", "hello-7"))
        assert isinstance(scene.app.screen, RunsScreen)


async def test_a_run_of_another_place_is_not_looked_for(memory: ViewState) -> None:
    memory.save_view(SavedView("elsewhere", "run", "hello-7", None, {}))
    scene = Scene([hello(7)], options=AppOptions(view_state=memory))
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "runs (1)", "hello-7"))
        assert isinstance(scene.app.screen, RunsScreen)


async def test_a_run_that_was_asked_for_wins(memory: ViewState) -> None:
    memory.save_view(SavedView("default", "run", "hello-7", None, {}))
    scene = busy_app(open_run="webshop-42", options=AppOptions(view_state=memory))
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "runs › webshop-42"))


async def test_the_editor_is_opened_again_at_its_cursor_and_on_top_of_the_run(
    memory: ViewState, tmp_path: Path
) -> None:
    file = tmp_path / ".c8s.yaml"
    file.write_text("version: v1alpha1\nname: shop\nsteps: []\n")
    launcher = FakeLauncher(LaunchResult(None), file)
    scene = busy_app(open_run="webshop-42", launcher=launcher, options=AppOptions(view_state=memory))
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "runs › webshop-42"))
        await pilot.press("e")
        await until(pilot, sees(scene, "edit ›", "name: shop"))
        await pilot.press("down", "right", "right", "ctrl+q")
    again = busy_app(launcher=launcher, options=AppOptions(view_state=memory))
    async with again.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(again, "edit ›", "name: shop"))
        assert isinstance(again.app.screen, EditorScreen)
        await until(pilot, lambda: again.app.screen.editor.cursor_location == (1, 2))  # type: ignore[attr-defined]
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(again.app.screen, RunScreen))


async def test_a_file_that_is_gone_is_no_error(memory: ViewState, tmp_path: Path) -> None:
    memory.save_view(SavedView("default", "editor", None, str(tmp_path / "gone" / ".c8s.yaml"), {}))
    scene = Scene([hello(7)], options=AppOptions(view_state=memory))
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "runs (1)", "hello-7"))
        assert isinstance(scene.app.screen, RunsScreen)


async def test_what_was_kept_in_another_form_changes_nothing(memory: ViewState) -> None:
    odd: dict[str, Layout] = {
        "runs": {"cursor": 3, "filter": False, "order": "sideways", "preview": "no"},
        "run": {"graph": 1, "wrap": "x"},
    }
    memory.save_view(replace(SavedView("default", "runs", None, None), layout=odd))
    scene = Scene([hello(7)], options=AppOptions(view_state=memory))
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "runs (1)", "hello-7"))
        await pilot.press("enter")
        await until(pilot, sees(scene, "runs › hello-7"))


async def test_a_broken_file_is_told_and_a_folder_that_can_not_be_written_too(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    memory = ViewState(kept, tmp_path)
    memory.save_view(SavedView())
    (file,) = (kept / "views").iterdir()
    file.write_text("{")
    scene = Scene([hello(7)], options=AppOptions(view_state=memory))
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "hello-7", "can't be used"))
    blocked = Scene([hello(7)], options=AppOptions(view_state=ViewState(file, tmp_path)))
    async with blocked.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(blocked, "hello-7", "can't be kept for the next"))
        assert "start" in shown(blocked)


async def test_a_theme_that_was_chosen_is_there_again_until_the_config_says_another(memory: ViewState) -> None:
    scene = Scene([hello(7)], options=AppOptions(view_state=memory))
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "hello-7"))
        assert scene.app.theme == "c8s-dark"
        scene.app.theme = "nord"
        await until(pilot, lambda: memory.load_theme()[0] is not None)
    assert Scene([], options=AppOptions(view_state=memory)).app.theme == "nord"
    assert SetupApp([FakeProvider()], AppOptions(view_state=memory)).theme == "nord"
    assert Scene([], options=AppOptions(Preferences(theme="c8s-light"), view_state=memory)).app.theme == "c8s-light"


async def test_a_theme_that_there_is_not_is_told() -> None:
    scene = Scene([hello(7)], options=AppOptions(Preferences(theme="c8s-lihgt", problems=("mouse: wrong",))))
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "hello-7", "mouse: wrong"))
        said = [message.text for message in scene.app.messages.newest_first()]
        assert said == ["theme: there is no theme `c8s-lihgt`; did you mean `c8s-light`?", "mouse: wrong"]
        assert scene.app.theme == "c8s-dark"


async def test_the_start_is_as_its_user_likes_it() -> None:
    app = SetupApp(
        [FakeProvider()], AppOptions(Preferences(theme="c8s-light", keys={"start.quit": "x"}), ascii_only=True)
    )
    async with app.run_test(size=SMALL) as pilot:
        assert app.theme == "c8s-light"
        assert any(isinstance(each, AsciiFilter) for each in app.get_line_filters())
        await pilot.press("q")
        assert app.is_running
        await pilot.press("x")
        async with asyncio.timeout(5):
            while app.is_running:
                await pilot.pause(0.01)
