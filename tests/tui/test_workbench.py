"""What a person sees and does in the workbench, on a controller that answers as the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from controller.pipeline.diagnostics import Diagnostic
from tests.tui.fakes import FakeLauncher, Scene, busy_app, hello, run, step, webshop
from workbench.client import Lines, LogLine, Missed, StreamEnd, StreamKey
from workbench.client.errors import InvalidError, UnauthorizedError
from workbench.tui.screens.dialogs import ConfirmDialog, ProblemsDialog
from workbench.tui.screens.help import HelpScreen, sections
from workbench.tui.screens.run import RunScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.services.interfaces import LaunchError, LaunchResult
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.log.pane import LogPane
from workbench.tui.widgets.log.view import LogView
from workbench.tui.widgets.runs_table import RunsTable
from workbench.tui.widgets.step_list import StepList

WIDE, SMALL = (140, 45), (80, 24)


async def until(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    """Wait for what the app is about to do."""
    async with asyncio.timeout(10):
        while not condition():
            await pilot.pause(0.01)


def shown(scene: Scene) -> str:
    """The text on the screen."""
    screen = scene.app.screen
    width, height = screen.size
    strips = screen._compositor.render_strips()
    return "\n".join(strip.text[:width].rstrip() for strip in strips[:height])


def sees(scene: Scene, *texts: str) -> Callable[[], bool]:
    return lambda: all(text in shown(scene) for text in texts)


async def test_the_list_shows_each_run_with_its_state() -> None:
    scene = busy_app()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "◐ webshop-42", "✗ wordcount-12", "✓ hello-7", "⊘ hello-6"))
        assert "8/12" in shown(scene)
        assert "images ignored" in shown(scene)


async def test_a_run_that_changes_changes_in_the_list_and_a_new_one_comes_on_top() -> None:
    scene = Scene([hello(1, "Running", created_ago=30)])
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "◐ hello-1"))
        scene.change(hello(1, "Succeeded", created_ago=30))
        scene.change(hello(2, "Running", created_ago=1))
        await until(pilot, sees(scene, "✓ hello-1", "◐ hello-2"))
        assert shown(scene).index("hello-2") < shown(scene).index("hello-1 ")
        assert scene.app.screen.query_one(RunsTable).cursor == "hello-1", "the cursor stays on its run"


async def test_enter_opens_the_run_and_escape_leads_back() -> None:
    scene = busy_app()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "webshop-42"))
        await pilot.press("down", "enter")
        await until(pilot, sees(scene, "wordcount-12 ›"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(scene.app.screen, RunsScreen))
        assert scene.app.screen.query_one(RunsTable).cursor == "wordcount-12"


async def test_without_runs_it_says_what_to_do() -> None:
    scene = Scene([], launcher=FakeLauncher(LaunchResult(None)))
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "No runs yet", "Press r to run /home/me/shop/.c8s.yaml"))


async def test_without_a_pipeline_file_it_says_how_to_get_one() -> None:
    scene = Scene([])
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "There is no .c8s.yaml here"))
        await pilot.press("r")
        await until(pilot, sees(scene, "no .c8s.yaml in this folder"))


async def test_a_run_opens_at_the_failed_step_with_the_reason_and_its_line() -> None:
    scene = busy_app(open_run="webshop-42")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "exit code 1   line 4: tests/test_cart.py:31", "26 passed"))
        assert scene.app.screen.query_one(StepList).cursor == "unit"
        assert scene.app.screen.query_one(DagView).selected == "unit"
        await until(pilot, lambda: scene.app.screen.query_one(LogView).current_line == 3)


async def test_a_finished_step_says_when_it_printed_nothing_and_a_skipped_one_why() -> None:
    scene = busy_app(open_run="webshop-42")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "26 passed"))
        scene.app.screen.query_one(StepList).cursor = "publish"
        await until(pilot, sees(scene, "skipped because unit failed"))
        scene.app.screen.query_one(StepList).cursor = "lint"
        await until(pilot, sees(scene, "It printed nothing."))


async def test_arrow_keys_in_the_graph_follow_the_lines_and_bring_the_log_along() -> None:
    scene = busy_app(open_run="webshop-42")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "26 passed"))
        assert isinstance(scene.app.focused, DagView)
        await pilot.press("left", "left")
        await until(pilot, sees(scene, "Cloning …"))
        assert scene.app.screen.query_one(StepList).cursor == "clone"
        assert "› clone" in shown(scene)


async def test_a_click_in_the_graph_selects_a_step() -> None:
    scene = busy_app(open_run="webshop-42")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "26 passed"))
        view = scene.app.screen.query_one(DagView)
        assert view._drawing is not None
        box = view._drawing.boxes["clone"]
        await pilot.click(DagView, offset=(box.x + 3, box.y))
        await until(pilot, lambda: view.selected == "clone")


async def test_a_step_that_changes_is_recoloured_where_it_stands() -> None:
    scene = busy_app(open_run="webshop-42")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "◐ build-web"))
        changed = webshop()
        steps = [step("build-web", ("deps",), "Succeeded") if one.name == "build-web" else one for one in changed.steps]
        scene.change(run("webshop-42", "Running", steps))
        await until(pilot, sees(scene, "✓ build-web"))
        assert "◐ build-web" not in shown(scene)


async def test_in_a_narrow_terminal_the_graph_is_a_list() -> None:
    scene = busy_app(open_run="webshop-42")
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "│ ├─✗ unit", "26 passed"))
        assert not scene.app.screen.query_one(DagView).display
        assert isinstance(scene.app.focused, StepList)


def _live(**more: object) -> Scene:
    scene = Scene([run("live-1", "Running", [step("work", (), "Running")])], open_run="live-1")
    scene.controller.live_frames["work"] = asyncio.Queue()
    return scene


def _lines(first: int, *texts: str) -> Lines:
    return Lines(StreamKey("work", 1, "step"), first, tuple(LogLine(None, text) for text in texts))


async def test_new_lines_are_followed_until_somebody_scrolls_up() -> None:
    scene = _live()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "Nothing printed yet."))
        scene.controller.live_frames["work"].put_nowait(_lines(1, *(f"line {n}" for n in range(1, 101))))
        await until(pilot, sees(scene, "line 100", "following"))
        await pilot.press("3", "up")
        scene.controller.live_frames["work"].put_nowait(_lines(101, "line 101", "line 102"))
        await until(pilot, sees(scene, "↓ 2 new lines"))
        assert "line 101" not in shown(scene)
        assert "following" not in shown(scene)
        await pilot.press("G")
        await until(pilot, sees(scene, "line 102", "following"))


async def test_another_step_is_followed_too_after_a_long_log() -> None:
    steps = [step("one", (), "Running"), step("two", ("one",), "Running")]
    scene = Scene([run("live-1", "Running", steps)], open_run="live-1")
    scene.controller.lines["one"] = [f"one {n}" for n in range(1, 301)]
    scene.controller.lines["two"] = [f"two {n}" for n in range(1, 201)]
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "one 300"))
        await pilot.press("right")
        await until(pilot, sees(scene, "two 200", "following"))
        await pilot.press("left")
        await until(pilot, sees(scene, "one 300", "following"))


async def test_lines_that_were_missed_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.tui.services.log_feed._RETRY_SECONDS", 0)
    scene = _live()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: bool(scene.controller.log_requests))
        scene.controller.live_frames["work"].put_nowait(_lines(1, "one"))
        scene.controller.live_frames["work"].put_nowait(Missed(StreamKey("work", 1, "step"), 2, 3))
        await until(pilot, lambda: len(scene.controller.log_requests) == 2)
        assert scene.controller.log_requests[1] == ("work", {StreamKey("work", 1, "step"): 1})
        scene.controller.live_frames["work"].put_nowait(_lines(2, "two", "three"))
        scene.controller.live_frames["work"].put_nowait(StreamEnd(StreamKey("work", 1, "step"), 3))
        await until(pilot, sees(scene, "one", "two", "three"))


async def test_hostile_output_changes_nothing_but_its_own_line() -> None:
    hostile = [
        "before",
        "\x1b]52;c;cHduZWQ=\x07\x1b]2;title\x1b\\\x1b[2J\x1b[H\x9b31mgotcha\x1b[?1049h",
        "[bold red]markup[/] [@click=app.quit]quit[/]",
        "after",
    ]
    nasty = "[red]\x1b[31mname"
    steps = [step(nasty, (), "Running", message="[b]x")]
    scene = Scene([run("live-1", "Running", steps, message="[@click=app.quit]x[/]\x1b[2J")], open_run="live-1")
    scene.controller.lines[nasty] = hostile
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "before", "gotcha", "[bold red]markup[/] [@click=app.quit]quit[/]", "after"))
        assert "[@click=app.quit]x[/]" in shown(scene)
        assert "[red]name" in shown(scene)
        assert "\x1b" not in shown(scene)
        assert "\x9b" not in shown(scene)


async def test_find_goes_from_match_to_match_through_the_whole_log() -> None:
    scene = Scene([run("live-1", "Running", [step("work", (), "Running")])], open_run="live-1")
    scene.controller.lines["work"] = [f"line {n}" + (" needle" if n in (3, 400) else "") for n in range(1, 501)]
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "line 500"))
        view = scene.app.screen.query_one(LogView)
        await pilot.press("3", "slash", *"needle", "enter")
        await until(pilot, lambda: view.current_line == 2)
        await pilot.press("n")
        await until(pilot, lambda: view.current_line == 399)
        await pilot.press("N")
        await until(pilot, lambda: view.current_line == 2)
        assert not view.follow


async def test_cancel_asks_first_and_no_is_the_answer_of_enter() -> None:
    scene = busy_app(open_run="webshop-42")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "webshop-42"))
        await pilot.press("ctrl+x")
        await until(pilot, lambda: isinstance(scene.app.screen, ConfirmDialog))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(scene.app.screen, RunScreen))
        assert scene.controller.cancelled == []
        await pilot.press("ctrl+x")
        await until(pilot, lambda: isinstance(scene.app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, lambda: scene.controller.cancelled == ["webshop-42"])


async def test_what_has_ended_is_not_cancelled() -> None:
    scene = Scene([hello(7)])
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "hello-7"))
        await pilot.press("ctrl+x")
        await until(pilot, sees(scene, "hello-7 has ended already."))


async def test_run_starts_the_pipeline_and_opens_its_run() -> None:
    launcher = FakeLauncher(LaunchResult(hello(8, "Running")))
    scene = Scene([hello(7)], launcher=launcher)
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "hello-7"))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(scene.app.screen, RunScreen))
        scene.change(hello(8, "Running", created_ago=1))
        await until(pilot, sees(scene, "runs › hello-8", "◐ greet"))
        assert launcher.launches == 1


async def test_a_pipeline_with_errors_is_not_started_and_they_are_shown() -> None:
    problem = Diagnostic(
        3, 5, "steps[0].dependOn", "error", "unknown-field", "unknown field dependOn", "did you mean dependsOn?"
    )
    scene = Scene([hello(7)], launcher=FakeLauncher(LaunchResult(None, (problem,))))
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "hello-7"))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(scene.app.screen, ProblemsDialog))
        await until(pilot, sees(scene, "1 problem, nothing was started", "3:5", "did you mean dependsOn?"))


@pytest.mark.parametrize("error", [LaunchError("the tree is too large"), InvalidError("the tree is too large")])
async def test_a_run_that_can_not_be_started_says_why(error: Exception) -> None:
    scene = Scene([hello(7)], launcher=FakeLauncher(error))
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "hello-7"))
        await pilot.press("r")
        await until(pilot, sees(scene, "Not started", "the tree is too large"))


async def test_a_lost_connection_is_told_until_it_is_back() -> None:
    scene = busy_app()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "webshop-42"))
        scene.trouble("no connection to http://127.0.0.1:1")
        await until(pilot, sees(scene, "Connection lost, trying again: no connection to http://127.0.0.1:1"))
        assert "webshop-42" in shown(scene), "what is known stays"
        scene.trouble(None)
        await until(pilot, lambda: "Connection lost" not in shown(scene))


async def test_a_controller_that_refuses_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.tui.services.run_feed._RETRY_SECONDS", 0.01)
    scene = busy_app()
    scene.controller.error = UnauthorizedError("the token is not known")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "the token is not known"))
        scene.controller.error = None
        await until(pilot, sees(scene, "webshop-42"))
        assert scene.app.screen.query_one(HeaderBar).connection_error is None


async def test_help_lists_every_binding_of_the_screen_and_its_parts() -> None:
    scene = busy_app(open_run="webshop-42")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "webshop-42"))
        titles = dict(sections(scene.app.screen))
        assert {"Anywhere", "This screen", "Graph", "Steps", "Log"} <= titles.keys()
        assert ("r", "Run this folder's pipeline on the working tree") in titles["Anywhere"]
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(scene.app.screen, HelpScreen))
        await until(pilot, sees(scene, "Keys", "Anywhere"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(scene.app.screen, RunScreen))


async def test_every_binding_has_an_id_and_words_for_the_help() -> None:
    for owner in (RunScreen, RunsTable, StepList, DagView, LogView, LogPane, ConfirmDialog, ProblemsDialog, HelpScreen):
        for kind in owner.__mro__:
            if kind.__module__.startswith("workbench"):
                for binding in kind.__dict__.get("BINDINGS", ()):
                    assert binding.id, binding
                    assert binding.tooltip, binding


async def test_nothing_ticks_when_nothing_runs() -> None:
    scene = Scene([hello(7)])
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "hello-7"))
        ticks: asyncio.Event = scene.app._ticker._active
        await until(pilot, lambda: not ticks.is_set())
        scene.change(hello(8, "Running"))
        await until(pilot, ticks.is_set)


async def test_leaving_a_run_and_opening_it_again_shows_its_log_again() -> None:
    scene = busy_app(open_run="webshop-42")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "26 passed"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(scene.app.screen, RunsScreen))
        await pilot.press("enter")
        await until(pilot, sees(scene, "26 passed"))


async def test_a_run_that_is_deleted_is_said_to_be_gone() -> None:
    scene = Scene([hello(7)], open_run="gone-1")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "There is no run gone-1 any more."))
        assert scene.app.screen.query_one("#run-heading", Static).display


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_the_details_say_where_one_is(size: tuple[int, int]) -> None:
    scene = busy_app()
    async with scene.app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, sees(scene, "webshop-42"))
        await pilot.press("d")
        await until(pilot, sees(scene, "runs › webshop-42 › details", "Environment", "Back"))
        assert scene.app.screen.max_scroll_y == 0


async def test_a_narrow_terminal_shows_every_key_of_the_footer() -> None:
    scene = busy_app()
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "webshop-42", "? Help q Quit"))
        await pilot.resize_terminal(*WIDE)
        await until(pilot, sees(scene, "? Help  q Quit"))
