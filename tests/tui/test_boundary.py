"""Error boundaries: what fails shows it in its own pane, and the rest goes on."""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

import pytest
from textual import events
from textual.geometry import Offset
from textual.strip import Strip
from textual.widgets import Static

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeWorkbench, busy_app, hello, run, step, webshop
from workbench.session.view_state import ViewState
from workbench.tui import app as app_module
from workbench.tui.boundary import is_going
from workbench.tui.options import AppOptions
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.log.pane import LogPane
from workbench.tui.widgets.log.view import LogView


class FaultError(Exception):
    """What no part of the app expects."""


def _options(tmp_path: Path) -> AppOptions:
    return AppOptions(view_state=ViewState(tmp_path / "kept", tmp_path), reports_folder=tmp_path / "crashes")


async def test_pane_that_cannot_be_drawn_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: DagView, y: int) -> Strip:
        raise FaultError("no such row")

    draw = DagView.render_line
    monkeypatch.setattr(DagView, "render_line", fail)
    app = busy_app(open_run="webshop-42", options=_options(tmp_path), fail_fast=False)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "This part has failed", "no such row", "crash-", "├─✗ unit", "26 passed"))
        await pilot.press("2", "home")
        await until(pilot, sees(app, "Cloning …"))
        monkeypatch.setattr(DagView, "render_line", draw)
        app.change_run(webshop("Failed"))
        await until(pilot, sees(app, "╮"))
        await until(pilot, lambda: "This part has failed" not in shown(app))
    (report,) = (tmp_path / "crashes").glob("crash-*.txt")
    assert "failed part: DagView" in report.read_text()
    assert not (tmp_path / "crashes" / "last").exists(), "the next start does not call this a crash"
    assert app.crash is None


async def test_failed_action_is_shown_until_the_next_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: LogView) -> None:
        raise FaultError("no end")

    monkeypatch.setattr(LogView, "action_top", fail)
    app = busy_app(open_run="webshop-42", fail_fast=False)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await pilot.press("3", "g")
        await until(pilot, sees(app, "✗ This part has failed: ", "no end"))
        await pilot.press("j")
        await until(pilot, lambda: "This part has failed" not in shown(app))
        assert len(app.failures) == 1


async def test_failed_worker_does_not_end_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(self: object) -> None:
        raise FaultError("no pipelines")

    app = FakeWorkbench([hello(7)], fail_fast=False)
    monkeypatch.setattr(type(app.controller), "pipelines", fail)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7", "no pipelines"))
        await pilot.press("enter")
        await until(pilot, sees(app, "runs › hello-7"))


async def test_failed_feed_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "_FEED_RETRY", 0.01)
    app = FakeWorkbench([hello(7)], fail_fast=False)
    follow, calls = app.feed.follow, []

    async def fail_once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise FaultError("in the feed")
        await follow()

    monkeypatch.setattr(app.feed, "follow", fail_once)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        assert [failure.summary for failure in app.failures.values()] == [f"{__name__}.FaultError: in the feed"]


async def test_callbacks_of_a_closed_screen_are_not_called() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        screen, pane = app.screen, app.screen.query_one(LogPane)
        assert isinstance(screen, RunScreen)
        app.pop_screen()
        await until(pilot, lambda: is_going(pane))
        # What a stream, a timer and a signal still do at this moment.
        screen._lines_received()
        pane.lines_received()
        pane.call_next(pane._refresh_lines)
        screen.call_next(screen.runs_changed)
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and not screen.is_running)
        assert app.failures == {}


async def test_error_of_a_widget_whose_screen_is_closing_is_dropped() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        pane = app.screen.query_one(LogPane)
        app.pop_screen()
        await until(pilot, lambda: is_going(pane))
        with pane._context():
            # As Textual does for an error while the pane is being mounted.
            app._handle_exception(FaultError("no children yet"))
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert app.crash is None
        assert app.failures == {}


async def test_failure_of_a_widget_of_textual_does_not_end_the_app() -> None:
    app = FakeWorkbench([hello(7)], fail_fast=False)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        with app.screen.query(Static).first()._context():
            # As Textual does for an error in a widget that has no boundary.
            app._handle_exception(FaultError("no footer"))
        await until(pilot, sees(app, "no footer"))
        await pilot.press("enter")
        await until(pilot, sees(app, "runs › hello-7"))
        assert app.crash is None


async def test_filtered_out_preview_draws_no_stale_graph() -> None:
    runs = [run("empty-1", "Succeeded", [step("hello", (), "Succeeded")]), hello(7)]
    app = FakeWorkbench(runs)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (2)"))
        await pilot.press("slash", *"empty")
        await until(pilot, sees(app, "runs (1 of 2)", "✓ hello"))
        await pilot.press(*"zzz")
        await until(pilot, sees(app, "runs (0 of 2)"))
        await pilot.press("ctrl+u")
        await until(pilot, sees(app, "runs (2)", "✓ hello"))


async def test_graph_without_space_draws_nothing_stale() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        graph = app.screen.query_one(DagView)
        graph.styles.width = 1
        await until(pilot, lambda: graph.size.width <= 2)
        graph.show_run(hello(7))
        graph.refresh()
        graph.styles.width = "1fr"
        await until(pilot, sees(app, "greet"))


async def test_escape_keeps_the_list_of_runs() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await pilot.press("backspace", "backspace", "backspace", "escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        app.pop_screen()
        await until(pilot, sees(app, "runs (4)"))


async def test_click_on_a_widget_that_was_just_removed_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        gone = Static()  # As one that was removed since the last layout, it has no parent.
        with monkeypatch.context() as patched:
            patched.setattr(app.screen, "get_widget_at", lambda *_: (gone, gone.region))
            patched.setattr(app.screen, "get_widget_and_offset_at", lambda *_: (gone, Offset(0, 0)))
            down = events.MouseDown(None, 5, 5, 0, 0, 1, False, False, False, screen_x=5, screen_y=5)
            await app.on_event(down)
        assert app.failures == {}


async def test_a_timer_calls_even_if_the_process_was_stopped_while_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    stops = count(step=1.0)

    def clock() -> float:
        reader = sys._getframe(1).f_locals.get("self")
        # Between two looks of this timer at the clock a second passes.
        return asyncio.get_running_loop().time() + (next(stops) if getattr(reader, "name", "") == "late" else 0.0)

    app, called = busy_app(), asyncio.Event()
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        with monkeypatch.context() as patched:
            patched.setattr("textual._time.get_time", clock)
            app.screen.set_timer(0.05, called.set, name="late")
            await until(pilot, called.is_set)


async def test_escape_before_a_run_is_drawn_leaves_it() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        app.open_run("webshop-42")
        assert isinstance(app.screen, RunScreen)
        await app.run_action("screen.back")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert app.failures == {}
