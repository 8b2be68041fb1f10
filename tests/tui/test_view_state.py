"""Saved views and themes: restored at the next start, ignored if invalid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, busy_app, hello
from tests.tui.setup.test_setup_app import FakeProvider
from workbench.config.preferences import Preferences
from workbench.session.view_state import Layout, SavedView, ViewState
from workbench.tui.keybindings import resolve_keymap
from workbench.tui.options import AppOptions
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.setup.app import SetupApp
from workbench.tui.terminal.ascii_filter import AsciiFilter
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.log.grid import LogGrid
from workbench.tui.widgets.log.view import LogView
from workbench.tui.widgets.runs_table import RunsTable


@pytest.fixture
def memory(tmp_path: Path) -> ViewState:
    return ViewState(tmp_path / "kept", tmp_path)


async def test_list_layout_is_restored(memory: ViewState) -> None:
    app = busy_app(options=AppOptions(view_state=memory))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42", "FAILED"))
        await pilot.press("slash", *"hello", "enter", "O", "end", "v")
        await until(pilot, sees(app, "runs (2 of 4) › hello, oldest"))
        kept = app.screen.query_one(RunsTable).cursor
        await pilot.press("q")
    again = busy_app(options=AppOptions(view_state=memory))
    async with again.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(again, "runs (2 of 4) › hello, oldest"))
        assert again.screen.query_one(RunsTable).cursor == kept == "hello-7"
        assert not again.screen.query_one("#preview").display
        await pilot.press("escape")
        await until(pilot, sees(again, "webshop-42"))


async def test_run_layout_is_restored(memory: ViewState) -> None:
    app = busy_app(options=AppOptions(view_state=memory))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        await pilot.press("enter")
        await until(pilot, sees(app, "runs › webshop-42", "26 passed"))
        await pilot.press("1", "v", "2", "home", "3", "w", "plus")
        await until(pilot, lambda: len(app.screen.query_one(LogGrid).panes) == 2)
        await pilot.press("w", "2", "end")
        await until(pilot, sees(app, "webshop-42 › notify"))
        await pilot.press("q")
    again = busy_app(options=AppOptions(view_state=memory))
    async with again.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(again, "runs › webshop-42 › notify"))
        await until(pilot, lambda: again.screen.query_one(LogGrid).step_names() == ["clone", "notify"])
        assert again.screen.query_one(LogGrid).active_step_name == "notify"
        assert again.screen.query_one(DagView).form == "list"
        assert {view.wrap for view in again.screen.query(LogView)} == {True}
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(again.screen, RunsScreen))


async def test_missing_run_is_closed(memory: ViewState) -> None:
    memory.save_view(
        SavedView("default", "run", "gone-1", None, {"run": {"run": "gone-1", "step": "x", "panes": "x\ny"}})
    )
    app = FakeWorkbench([hello(7)], options=AppOptions(view_state=memory))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (1)", "hello-7"))
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert len(app.messages) == 0


async def test_missing_run_below_the_editor_is_closed(memory: ViewState, tmp_path: Path) -> None:
    file = tmp_path / ".c8s.yaml"
    file.write_text("name: shop\n")
    memory.save_view(SavedView("default", "editor", "gone-1", str(file), {}))
    app = FakeWorkbench([hello(7)], options=AppOptions(view_state=memory))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "edit ›", "name: shop"))
        await until(pilot, lambda: app.feed.runs.loaded)
        await pilot.press("escape")
        await until(pilot, sees(app, "runs (1)", "hello-7"))
        assert isinstance(app.screen, RunsScreen)


async def test_run_of_another_controller_is_not_opened(memory: ViewState) -> None:
    memory.save_view(SavedView("elsewhere", "run", "hello-7", None, {}))
    app = FakeWorkbench([hello(7)], options=AppOptions(view_state=memory))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (1)", "hello-7"))
        assert isinstance(app.screen, RunsScreen)


async def test_requested_run_wins_over_the_saved_view(memory: ViewState) -> None:
    memory.save_view(SavedView("default", "run", "hello-7", None, {}))
    app = busy_app(open_run="webshop-42", options=AppOptions(view_state=memory))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs › webshop-42"))


async def test_editor_is_restored_above_the_run(memory: ViewState, tmp_path: Path) -> None:
    file = tmp_path / ".c8s.yaml"
    file.write_text("version: v1alpha1\nname: shop\nsteps: []\n")
    launcher = FakeLauncher(None, file)
    app = busy_app(open_run="webshop-42", launcher=launcher, options=AppOptions(view_state=memory))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs › webshop-42"))
        await pilot.press("e")
        await until(pilot, sees(app, "edit ›", "name: shop"))
        await pilot.press("down", "right", "right", "ctrl+q")
    again = busy_app(launcher=launcher, options=AppOptions(view_state=memory))
    async with again.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(again, "edit ›", "name: shop"))
        assert isinstance(again.screen, EditorScreen)
        await until(pilot, lambda: again.screen.editor.cursor_location == (1, 2))  # type: ignore[attr-defined]
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(again.screen, RunScreen))


async def test_missing_file_is_not_opened(memory: ViewState, tmp_path: Path) -> None:
    memory.save_view(SavedView("default", "editor", None, str(tmp_path / "gone" / ".c8s.yaml"), {}))
    app = FakeWorkbench([hello(7)], options=AppOptions(view_state=memory))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (1)", "hello-7"))
        assert isinstance(app.screen, RunsScreen)


async def test_invalid_layout_is_ignored(memory: ViewState) -> None:
    odd: dict[str, Layout] = {
        "runs": {"cursor": 3, "filter": False, "order": "sideways", "preview": "no"},
        "run": {"graph": 1, "wrap": "x"},
    }
    memory.save_view(replace(SavedView("default", "runs", None, None), layout=odd))
    app = FakeWorkbench([hello(7)], options=AppOptions(view_state=memory))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (1)", "hello-7"))
        await pilot.press("enter")
        await until(pilot, sees(app, "runs › hello-7"))


async def test_unusable_state_files_are_reported(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    memory = ViewState(kept, tmp_path)
    memory.save_view(SavedView())
    (file,) = (kept / "views").iterdir()
    file.write_text("{")
    app = FakeWorkbench([hello(7)], options=AppOptions(view_state=memory))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7", "JSONDecodeError"))
    blocked = FakeWorkbench([hello(7)], options=AppOptions(view_state=ViewState(file, tmp_path)))
    async with blocked.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(blocked, "hello-7", "can't be saved for the next"))
        assert "start" in shown(blocked)


async def test_chosen_theme_is_kept_until_the_config_changes(memory: ViewState) -> None:
    app = FakeWorkbench([hello(7)], options=AppOptions(view_state=memory))
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        assert app.theme == "c8s-dark"
        app.theme = "nord"
        await until(pilot, lambda: memory.load_theme()[0] is not None)
    assert FakeWorkbench([], options=AppOptions(view_state=memory)).theme == "nord"
    assert SetupApp([FakeProvider()], AppOptions(view_state=memory)).theme == "nord"
    assert FakeWorkbench([], options=AppOptions(Preferences(theme="c8s-light"), view_state=memory)).theme == "c8s-light"


async def test_unknown_theme_is_reported() -> None:
    app = FakeWorkbench([hello(7)], options=AppOptions(Preferences(theme="c8s-lihgt", problems=("mouse: wrong",))))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7", "mouse: wrong"))
        said = [message.text for message in app.messages.newest_first()]
        assert said == ["theme: there is no theme `c8s-lihgt`; did you mean `c8s-light`?", "mouse: wrong"]
        assert app.theme == "c8s-dark"


async def test_setup_app_uses_the_preferences() -> None:
    app = SetupApp(
        [FakeProvider()],
        AppOptions(Preferences(theme="c8s-light"), ascii_only=True, keymap=resolve_keymap({"start.quit": "x"})),
    )
    async with app.run_test(size=SMALL) as pilot:
        assert app.theme == "c8s-light"
        assert any(isinstance(each, AsciiFilter) for each in app.get_line_filters())
        await pilot.press("q")
        assert app.is_running
        await pilot.press("x")
        await until(pilot, lambda: not app.is_running)
