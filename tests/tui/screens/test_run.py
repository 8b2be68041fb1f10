"""The run screen: graph, steps, live logs, shells."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

import pytest
from textual.widgets import Static

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeWorkbench, busy_app, hello, run, step, webshop
from workbench.client import (
    LinePart,
    Lines,
    LogLine,
    Missed,
    SavedWorkspace,
    Step,
    StreamEnd,
    StreamKey,
)
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.log.view import LogView
from workbench.tui.widgets.step_list import StepList


def _live(**more: object) -> FakeWorkbench:
    app = FakeWorkbench([run("live-1", "Running", [step("work", (), "Running")])], open_run="live-1")
    app.controller.live_frames["work"] = asyncio.Queue()
    return app


def _lines(first: int, *texts: str) -> Lines:
    return Lines(StreamKey("work", 1, "step"), first, tuple(LogLine(None, text) for text in texts))


@pytest.mark.parametrize("action", ["container", "find", "follow"])
async def test_keys_that_come_before_a_run_is_drawn_do_no_harm(action: str) -> None:
    app = _live()
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, sees(app, "work"))
        with app._context():
            getattr(RunScreen("live-1"), f"action_{action}")()


async def test_shell_needs_a_running_step() -> None:
    asked: list[tuple[str, str, str]] = []

    def command(*about: str) -> list[str]:
        asked.append(about)  # type: ignore[arg-type]
        return [sys.executable, "-c", ""]

    made = run("shop-1", "Running", [step("work", (), "Running"), step("later", ("work",))])
    app = FakeWorkbench([made], open_run="shop-1", shell=command)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "◐ work"))
        await pilot.press("2", "end", "S")
        await until(pilot, sees(app, "later is pending; a shell needs a running step"))
        assert asked == []
        await pilot.press("home", "S")
        await until(pilot, sees(app, "can't run another program"))
        assert asked == [("shop-1", "work", "step")]


async def test_shell_opens_in_a_saved_workspace() -> None:
    asked: list[tuple[str, ...]] = []

    def command(*about: str) -> list[str]:
        asked.append(about)
        return [sys.executable, "-c", ""]

    def tried(name: str, kept: SavedWorkspace | None) -> Step:
        made = step(name, (), "Failed", message="exit code 1")
        return replace(made, attempts=(replace(made.attempts[0], saved_workspace=kept),))

    steps = [tried("kept", SavedWorkspace(12 << 20, 340)), tried("large", SavedWorkspace(problem="it has too much")),
             tried("plain", None)]  # fmt: skip
    app = FakeWorkbench([run("shop-1", "Failed", steps)], open_run="shop-1", shell=command)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ kept"))
        await pilot.press("2", "home", "S")
        await until(pilot, sees(app, "can't run another program"))
        assert asked == [("shop-1", "kept", "step")]
        await pilot.press("d")
        await until(pilot, sees(app, "saved (12.0 MiB packed, 340 files): S opens a shell in it"))
        await pilot.press("escape", "2", "down", "S")
        await until(pilot, sees(app, "The workspace of large could not be saved"))
        await pilot.press("end", "S")
        await until(pilot, sees(app, "its workspace was not saved"))
        assert len(asked) == 1


async def test_c_shows_the_log_of_a_service() -> None:
    work = step("work", (), "Running", containers=("step", "svc-db"))
    app = FakeWorkbench([run("shop-1", "Running", [work])], open_run="shop-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "◐ work"))
        await pilot.press("2", "c")
        await until(pilot, sees(app, "svc-db"))


async def test_run_opens_at_the_failed_line() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "exit code 1   line 4: tests/test_cart.py:31", "26 passed"))
        assert app.screen.query_one(StepList).cursor == "unit"
        assert app.screen.query_one(DagView).selected == "unit"
        await until(pilot, lambda: app.screen.query_one(LogView).current_line == 3)


async def test_empty_log_is_explained() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        app.screen.query_one(StepList).cursor = "publish"
        await until(pilot, sees(app, "skipped because unit failed"))
        app.screen.query_one(StepList).cursor = "lint"
        await until(pilot, sees(app, "No output."))


async def test_arrow_keys_select_steps_in_the_graph() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        assert isinstance(app.focused, DagView)
        await pilot.press("left", "left")
        await until(pilot, sees(app, "Cloning …"))
        assert app.screen.query_one(StepList).cursor == "clone"
        assert "› clone" in shown(app)


async def test_click_selects_a_step() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        view = app.screen.query_one(DagView)
        assert view._drawing is not None
        box = view._drawing.boxes["clone"]
        await pilot.click(DagView, offset=(box.x + 3, box.y))
        await until(pilot, lambda: view.selected == "clone")


async def test_changed_step_is_redrawn_in_place() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "◐ build-web"))
        changed = webshop()
        steps = [step("build-web", ("deps",), "Succeeded") if one.name == "build-web" else one for one in changed.steps]
        app.change_run(run("webshop-42", "Running", steps))
        await until(pilot, sees(app, "✓ build-web"))
        assert "◐ build-web" not in shown(app)


async def test_narrow_terminal_hides_the_graph() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "│ ├─✗ unit", "26 passed"))
        assert not app.screen.query_one(DagView).display
        assert isinstance(app.focused, StepList)


async def test_new_lines_are_followed_until_scrolled_up() -> None:
    app = _live()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "No output yet."))
        app.controller.live_frames["work"].put_nowait(_lines(1, *(f"line {n}" for n in range(1, 101))))
        await until(pilot, sees(app, "line 100", "following"))
        await pilot.press("3", "up")
        app.controller.live_frames["work"].put_nowait(_lines(101, "line 101", "line 102"))
        await until(pilot, sees(app, "↓ 2 new lines"))
        assert "line 101" not in shown(app)
        assert "following" not in shown(app)
        await pilot.press("G")
        await until(pilot, sees(app, "line 102", "following"))


async def test_lines_that_can_be_seen_are_not_announced() -> None:
    app = _live()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "No output yet."))
        app.controller.live_frames["work"].put_nowait(_lines(1, "line 1", "line 2"))
        await until(pilot, sees(app, "line 2"))
        await pilot.press("3", "g")
        app.controller.live_frames["work"].put_nowait(_lines(3, "line 3"))
        await until(pilot, sees(app, "line 3"))
        await until(pilot, lambda: "new lines" not in shown(app))


async def test_step_whose_pod_was_made_ahead_is_no_retry() -> None:
    ahead = replace(step("work", (), "Running").attempts[0], phase="Pending")
    waiting = replace(step("work", ("first",)), attempts=(ahead,))
    app = FakeWorkbench([run("ahead-1", "Running", [step("first", (), "Running"), waiting])], open_run="ahead-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "● work"))
        assert "retry" not in shown(app)


async def test_unfinished_line_is_replaced_in_place() -> None:
    app = _live()
    key = StreamKey("work", 1, "step")
    frames = app.controller.live_frames["work"]
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "No output yet."))
        frames.put_nowait(LinePart(key, 1, LogLine(None, "\x1b[32m 10%")))
        await until(pilot, sees(app, "   1   10%"))
        frames.put_nowait(_lines(1, "got it"))
        frames.put_nowait(LinePart(key, 2, LogLine(None, " 20%")))
        await until(pilot, sees(app, "   1  got it", "   2   20%"))
        frames.put_nowait(LinePart(key, 2, LogLine(None, " 30%")))
        await until(pilot, sees(app, "   2   30%"))
        assert "20%" not in shown(app)
        assert "1 line" in shown(app)
        frames.put_nowait(_lines(2, " 20%\r 30%\r100%"))
        await until(pilot, sees(app, "   2  100%", "2 lines"))
        assert "30%" not in shown(app)


async def test_unfinished_line_waits_below_for_one_who_has_scrolled_up() -> None:
    app = _live()
    frames = app.controller.live_frames["work"]
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "No output yet."))
        frames.put_nowait(_lines(1, *(f"line {n}" for n in range(1, 101))))
        await until(pilot, sees(app, "line 100", "following"))
        await pilot.press("3", "g")
        await until(pilot, lambda: "line 100" not in shown(app))
        frames.put_nowait(LinePart(StreamKey("work", 1, "step"), 101, LogLine(None, "50%")))
        await pilot.pause()
        assert "new line" not in shown(app)
        await pilot.press("G")
        await until(pilot, sees(app, " 101  50%"))
        await pilot.press("m", "k", "y", "ampersand", *"line", "enter")
        await until(pilot, sees(app, "filter: 100 lines"))
        assert "50%" not in shown(app)


async def test_following_continues_on_another_step() -> None:
    steps = [step("one", (), "Running"), step("two", ("one",), "Running")]
    app = FakeWorkbench([run("live-1", "Running", steps)], open_run="live-1")
    app.controller.lines["one"] = [f"one {n}" for n in range(1, 301)]
    app.controller.lines["two"] = [f"two {n}" for n in range(1, 201)]
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "one 300"))
        await pilot.press("right")
        await until(pilot, sees(app, "two 200", "following"))
        await pilot.press("left")
        await until(pilot, sees(app, "one 300", "following"))


async def test_missed_lines_are_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.tui.services.log_feed._RETRY_SECONDS", 0)
    app = _live()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: bool(app.controller.log_requests))
        app.controller.live_frames["work"].put_nowait(_lines(1, "one"))
        app.controller.live_frames["work"].put_nowait(Missed(StreamKey("work", 1, "step"), 2, 3))
        await until(pilot, lambda: len(app.controller.log_requests) == 2)
        assert app.controller.log_requests[1] == ("work", {StreamKey("work", 1, "step"): 1})
        app.controller.live_frames["work"].put_nowait(_lines(2, "two", "three"))
        app.controller.live_frames["work"].put_nowait(StreamEnd(StreamKey("work", 1, "step"), 3))
        await until(pilot, sees(app, "one", "two", "three"))


async def test_control_sequences_and_markup_are_not_interpreted() -> None:
    hostile = [
        "before",
        "\x1b]52;c;cHduZWQ=\x07\x1b]2;title\x1b\\\x1b[2J\x1b[H\x9b31mgotcha\x1b[?1049h",
        "[bold red]markup[/] [@click=app.quit]quit[/]",
        "after",
    ]
    nasty = "[red]\x1b[31mname"
    steps = [step(nasty, (), "Running", message="[b]x")]
    app = FakeWorkbench([run("live-1", "Running", steps, message="[@click=app.quit]x[/]\x1b[2J")], open_run="live-1")
    app.controller.lines[nasty] = hostile
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "before", "gotcha", "[bold red]markup[/] [@click=app.quit]quit[/]", "after"))
        assert "[@click=app.quit]x[/]" in shown(app)
        assert "[red]name" in shown(app)
        assert "\x1b" not in shown(app)
        assert "\x9b" not in shown(app)


async def test_find_goes_from_match_to_match() -> None:
    app = FakeWorkbench([run("live-1", "Running", [step("work", (), "Running")])], open_run="live-1")
    app.controller.lines["work"] = [f"line {n}" + (" needle" if n in (3, 400) else "") for n in range(1, 501)]
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 500"))
        view = app.screen.query_one(LogView)
        await pilot.press("3", "slash", *"needle", "enter")
        await until(pilot, lambda: view.current_line == 2)
        await pilot.press("n")
        await until(pilot, lambda: view.current_line == 399)
        await pilot.press("N")
        await until(pilot, lambda: view.current_line == 2)
        assert not view.follow


async def test_reopened_run_shows_its_log() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await pilot.press("enter")
        await until(pilot, sees(app, "26 passed"))


async def test_deleted_run_is_reported() -> None:
    app = FakeWorkbench([hello(7)], open_run="gone-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "The run gone-1 no longer exists."))
        assert app.screen.query_one("#run-heading", Static).display


async def test_step_that_waits_for_its_next_attempt_says_so() -> None:
    failed = replace(step("flaky", (), "Failed", attempts=2), phase="Pending", reason="Retrying")
    waiting = replace(failed, message="attempt 2 failed (exit code 1); the next begins in 4 s")
    app = FakeWorkbench([run("shop-1", "Running", [waiting])], open_run="shop-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "retry 3", "attempt 2 failed (exit code 1); the next begins in 4 s"))
        await until(pilot, sees(app, "attempt 2 of 2"))
        await pilot.press("3", "A")
        await until(pilot, sees(app, "attempt 1 of 2"))
        await pilot.press("A")
        await until(pilot, sees(app, "attempt 2 of 2"))


async def test_step_without_artifacts_says_so() -> None:
    app = FakeWorkbench([run("shop-1", "Succeeded", [step("build", (), "Succeeded")])], open_run="shop-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(app, "No artifacts."))


async def test_steps_that_fit_again_are_shown_from_the_first() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=(80, 13), notifications=True) as pilot:
        await until(pilot, lambda: any(steps.scroll_offset.y for steps in app.screen.query(StepList)))
        steps = app.screen.query_one(StepList)
        assert steps.cursor == "unit"
        await pilot.resize_terminal(*SMALL)
        await until(pilot, lambda: steps.size.height > 5)
        await until(pilot, lambda: steps.scroll_offset.y == 0)
