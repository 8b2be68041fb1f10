"""The app: launching, cancelling, connection, help and footer."""

from __future__ import annotations

import asyncio

import pytest
from textual._compositor import Compositor
from textual.geometry import Offset
from textual.selection import Selection

from controller.pipeline.diagnostics import Diagnostic
from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, busy_app, hello, run, step, webshop
from workbench.client.errors import InvalidError, UnauthorizedError
from workbench.pipeline_file.load import LintOutcome
from workbench.report.test_results import SIGNS
from workbench.report.trends import SLOWER_SIGN
from workbench.tui.screens.dialogs import ConfirmDialog, ProblemsDialog
from workbench.tui.screens.help import HelpScreen, sections
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.services.interfaces import LaunchError
from workbench.tui.theme import ALLOWED_FAILURE_SIGN, DARK, LIGHT, PHASE_SIGNS
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.log.pane import LogPane
from workbench.tui.widgets.log.view import LogView
from workbench.tui.widgets.runs_table import RUN_BAR_SIGNS, RunsTable
from workbench.tui.widgets.step_list import BAR_SIGNS, CRITICAL_SIGN, StepList


@pytest.mark.parametrize("theme", [DARK.name, LIGHT.name, "ansi-dark", "ansi-light"])
async def test_every_theme_shows_a_run(theme: str) -> None:
    app = busy_app(open_run="webshop-42")
    app.theme = theme
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ unit", "26 passed"))
        assert app.theme == theme


async def test_cancel_asks_first_and_defaults_to_no() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        await pilot.press("ctrl+x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert app.controller.cancelled == []
        await pilot.press("ctrl+x")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, lambda: app.controller.cancelled == ["webshop-42"])


async def test_ended_run_is_not_cancelled() -> None:
    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("ctrl+x")
        await until(pilot, sees(app, "hello-7 has already ended."))


async def test_run_key_starts_and_opens_a_run() -> None:
    launcher = FakeLauncher(hello(8, "Running"))
    app = FakeWorkbench([hello(7)], launcher=launcher)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        app.change_run(hello(8, "Running", created_ago=1))
        await until(pilot, sees(app, "runs › hello-8", "◐ greet"))
        assert launcher.launches == 1


async def test_pipeline_errors_are_shown() -> None:
    problem = Diagnostic(
        3, 5, "steps[0].dependOn", "error", "unknown-field", "unknown field dependOn", "did you mean dependsOn?"
    )
    launcher = FakeLauncher()
    launcher.pipeline = LintOutcome((problem,), None)
    app = FakeWorkbench([hello(7)], launcher=launcher)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ProblemsDialog))
        await until(pilot, sees(app, "1 problem, nothing was started", "3:5", "did you mean dependsOn?"))


@pytest.mark.parametrize("error", [LaunchError("the tree is too large"), InvalidError("the tree is too large")])
async def test_failed_launch_is_reported(error: Exception) -> None:
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(error))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("r")
        await until(pilot, sees(app, "Not started", "the tree is too large"))


async def test_lost_connection_is_shown_until_restored() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        app.set_connection_error("no connection to http://127.0.0.1:1")
        await until(pilot, sees(app, "Connection lost, trying again: no connection to http://127.0.0.1:1"))
        assert "webshop-42" in shown(app), "what is known stays"
        app.set_connection_error(None)
        await until(pilot, lambda: "Connection lost" not in shown(app))


async def test_full_disk_is_shown_while_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.tui.app._DISK_POLL", 0.02)
    problem: list[str | None] = ["the disk that holds /state is full (0 KiB left): free some space"]
    app = FakeWorkbench([hello(7)], disk=lambda: problem[0])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7", "the disk that holds /state is full"))
        await pilot.press("C")
        await until(pilot, sees(app, "cluster", "the disk that holds /state is full"))
        problem[0] = None
        await until(pilot, lambda: "is full" not in shown(app))


async def test_refused_connection_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.tui.services.run_feed._RETRY_SECONDS", 0.01)
    app = busy_app()
    app.controller.error = UnauthorizedError("the token is not known")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "the token is not known"))
        app.controller.error = None
        await until(pilot, sees(app, "webshop-42"))
        assert app.screen.query_one(HeaderBar).connection_error is None


async def test_help_lists_every_binding() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        titles = dict(sections(app.screen))
        assert {"Anywhere", "This screen", "Graph", "Steps", "Log"} <= titles.keys()
        assert ("r", "Run this folder's pipeline on the working tree") in titles["Anywhere"]
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await until(pilot, sees(app, "Keyboard shortcuts", "Anywhere"))
        await pilot.press("G")
        await until(pilot, sees(app, "Signs", "also waits for these steps", "Bars of steps", "━━━ running"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


async def test_help_scrolls_and_explains_every_sign() -> None:
    app = busy_app()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        await pilot.press("question_mark")
        await until(pilot, sees(app, "Keyboard shortcuts"))
        await pilot.press("G")
        await until(pilot, sees(app, "✓ passed"))
        seen = shown(app)
        while "Signs" not in shown(app):
            before = shown(app)
            await pilot.press("k")
            await until(pilot, lambda before=before: shown(app) != before)  # type: ignore[misc]
            seen += shown(app)
        for sign in (*PHASE_SIGNS.values(), ALLOWED_FAILURE_SIGN, CRITICAL_SIGN, SLOWER_SIGN, "⇠", "▎", "≠"):
            assert f"{sign} " in seen, sign
        for part, sign in (BAR_SIGNS | RUN_BAR_SIGNS).items():
            assert f"{sign * 3} {part}" in seen
        for outcome, sign in SIGNS.items():
            assert f"{sign} {outcome}" in seen


async def test_every_binding_has_an_id_and_tooltip() -> None:
    for owner in (RunScreen, RunsTable, StepList, DagView, LogView, LogPane, ConfirmDialog, ProblemsDialog, HelpScreen):
        for kind in owner.__mro__:
            if kind.__module__.startswith("workbench"):
                for binding in kind.__dict__.get("BINDINGS", ()):
                    assert binding.id, binding
                    assert binding.tooltip, binding


async def test_clock_stops_without_active_runs() -> None:
    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        ticks: asyncio.Event = app._ticker._active
        await until(pilot, lambda: not ticks.is_set())
        app.change_run(hello(8, "Running"))
        await until(pilot, ticks.is_set)


async def test_narrow_footer_shows_every_key() -> None:
    app = busy_app()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42", "? Help q Quit"))
        await pilot.resize_terminal(*WIDE)
        await until(pilot, sees(app, "? Help  q Quit"))


async def test_covered_screens_are_not_updated_and_catch_up() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        runs = app.screen
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert not runs.is_current
        app.change_run(hello(99))
        await until(pilot, lambda: app.feed.runs.get("hello-99") is not None)
        await pilot.press("escape")
        await until(pilot, sees(app, "hello-99"))


async def test_what_is_behind_a_dialog_goes_on() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "◐ build-web"))
        await pilot.press("ctrl+x")
        await until(pilot, sees(app, "Cancel webshop-42?"))
        changed = webshop()
        steps = [step("build-web", ("deps",), "Succeeded") if one.name == "build-web" else one for one in changed.steps]
        app.change_run(run("webshop-42", "Running", steps))
        await until(pilot, sees(app, "✓ build-web"))
        assert "Cancel webshop-42?" in shown(app)


async def test_another_step_draws_only_what_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    full: list[bool] = []
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42 › unit", "26 passed"))
        await pilot.press("2")
        await pilot.pause(0.2)
        monkeypatch.setattr(Compositor, "render_full_update", lambda *_, **__: full.append(True))
        await pilot.press("k")
        await until(pilot, lambda: "webshop-42 › unit" not in shown(app))
        await pilot.pause()
        assert not full


async def test_a_selection_right_below_a_text_is_no_text() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ unit"))
        crumbs = app.screen.query_one("#top-crumbs")
        app.screen.selections = {crumbs: Selection(Offset(2, 1), Offset(9, 1))}
        assert app.screen.get_selected_text() is None
        await pilot.press("ctrl+c")
        app.screen.selections = {crumbs: Selection(Offset(1, 0), Offset(4, 0))}
        assert app.screen.get_selected_text() == "c8s"
