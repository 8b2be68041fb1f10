"""Nothing that a person has found or done is lost: places, selections, undo."""

from __future__ import annotations

from pathlib import Path

from tests.support.tui.driver import WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, busy_app, hello, run, step
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.notifications import NotificationsScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.widgets.editor.yaml_editor import YamlEditor
from workbench.tui.widgets.log.view import LogView
from workbench.tui.widgets.runs_table import RunsTable

_LINES = [f"line {n}" + (" ERROR" if n in (50, 100, 150, 280) else "") for n in range(1, 301)]


def _log(phase: str = "Succeeded") -> FakeWorkbench:
    app = FakeWorkbench([run("long-1", phase, [step("work", (), phase)])], open_run="long-1")
    app.controller.lines["work"] = _LINES
    return app


async def test_editor_comes_back_with_undo_cursor_and_selection(tmp_path: Path) -> None:
    file = tmp_path / ".c8s.yaml"
    file.write_text("name: shop\nsteps: []\n")
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, file))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("e")
        await until(pilot, sees(app, "name: shop"))
        await pilot.press(*"xyz", "down", "shift+right", "shift+right")
        editor = app.screen.query_one(YamlEditor)
        await until(pilot, lambda: editor.text.startswith("xyz") and editor.selected_text == "ps")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))
        again = app.screen.query_one(YamlEditor)
        assert again.selected_text == "ps"
        await pilot.press("ctrl+z")
        await until(pilot, lambda: again.text.startswith("name: shop"))


async def test_change_on_disk_can_be_undone(tmp_path: Path) -> None:
    file = tmp_path / ".c8s.yaml"
    file.write_text("name: shop\n")
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, file))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("e")
        await until(pilot, sees(app, "name: shop"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        file.write_text("name: other\n")
        await pilot.press("e")
        await until(pilot, sees(app, "name: other"))
        await pilot.press("ctrl+z")
        await until(pilot, sees(app, "name: shop", "modified"))


async def test_removed_filter_stays_at_its_line() -> None:
    app = _log()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 300"))
        view = app.screen.query_one(LogView)
        await pilot.press("3", "g", "ampersand", *"ERROR", "enter")
        await until(pilot, sees(app, "filter: 4 lines"))
        assert view.cursor == 49
        await pilot.press("j", "j")
        await until(pilot, lambda: view.cursor == 149)
        await pilot.press("ampersand", "ctrl+u", "enter")
        await until(pilot, sees(app, "line 149", "line 150 ERROR", "line 151"))
        assert view.cursor == 149
        assert not view.follow


async def test_cursor_stays_at_the_ends_of_a_filtered_log() -> None:
    app = _log()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 300"))
        view = app.screen.query_one(LogView)
        await pilot.press("3", "ampersand", *"ERROR", "enter")
        await until(pilot, lambda: view.cursor == 279)
        await pilot.press("j", "j", "pagedown", "G")
        await until(pilot, lambda: view.cursor == 279 and not view.follow)
        await pilot.press("g", "k")
        await until(pilot, lambda: view.cursor == 49)


async def test_filter_shows_lines_of_context() -> None:
    app = _log()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 300"))
        await pilot.press("3", "g", "ampersand", "minus", "C", "2", "space", *"ERROR", "enter")
        await until(
            pilot, sees(app, "filter: 4 lines with 2 around", "line 48", "line 50 ERROR", "line 52", "line 148")
        )
        assert app.screen.query_one(LogView).cursor == 49, "on the match, not on the line above it"
        assert "line 47\n" not in shown(app)
        assert "line 53\n" not in shown(app)


async def test_filtered_live_log_still_follows() -> None:
    app = _log("Running")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 300"))
        view = app.screen.query_one(LogView)
        await pilot.press("3", "ampersand", *"ERROR", "enter")
        await until(pilot, sees(app, "filter: 4 lines", "following"))
        await pilot.press("k")
        await until(pilot, lambda: view.cursor == 279 and not view.follow)
        await pilot.press("G")
        await until(pilot, sees(app, "following"))


async def test_cursor_is_on_the_run_that_was_left() -> None:
    app = busy_app(launcher=FakeLauncher(hello(8, "Running")))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        await pilot.press("end", "r")
        app.change_run(hello(8, "Running", created_ago=1))
        await until(pilot, sees(app, "runs › hello-8", "◐ greet"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await until(pilot, lambda: app.screen.query_one(RunsTable).cursor == "hello-8")


async def test_the_editor_is_opened_once_whatever_is_above_it(tmp_path: Path) -> None:
    file, other = tmp_path / ".c8s.yaml", tmp_path / "other.yaml"
    for each in (file, other):
        each.write_text("name: shop\n")
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, file))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, NotificationsScreen))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))
        assert [isinstance(each, EditorScreen) for each in app.screen_stack].count(True) == 1
        await pilot.resize_terminal(100, 30)
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, NotificationsScreen))
        app.edit_file(other)
        await until(pilot, lambda: isinstance(app.screen, EditorScreen) and app.screen.path == other)
        assert [isinstance(each, EditorScreen) for each in app.screen_stack].count(True) == 1
