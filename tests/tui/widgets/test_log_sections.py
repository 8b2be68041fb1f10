"""Commands and groups of a log: headings, folding, and what is counted and copied."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from textual.pilot import Pilot

from tests.support.tui.driver import WIDE, sees, shown, until
from tests.support.tui.fakes import FakeWorkbench, run, step
from workbench.client import Lines, LogLine, StreamKey
from workbench.client.models import CommandStarted, StepCommand
from workbench.tui.widgets.log.grid import LogGrid
from workbench.tui.widgets.log.section_view import SectionLogView

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = StreamKey("work", 1, "step")


def command(index: int, line: int, text: str, start: float) -> StepCommand:
    return StepCommand(index, text, line, NOON + timedelta(seconds=start), None, None)


def two_commands(*lines: str) -> FakeWorkbench:
    app = FakeWorkbench([run("live-1", "Running", [step("work", (), "Running")])], open_run="live-1")
    app.controller.lines["work"] = list(lines)
    app.controller.step_commands["work"] = [command(0, 1, "make", 0), command(1, 3, "make test", 2.5)]
    return app


def view(app: FakeWorkbench) -> SectionLogView:
    return app.screen.query_one(LogGrid).active.view


async def focus_log(app: FakeWorkbench, pilot: Pilot[int], text: str) -> None:
    await until(pilot, sees(app, text))
    await pilot.press("3")


async def test_each_command_has_a_heading_with_its_duration() -> None:
    app = two_commands("one", "two", "three")
    async with app.run_test(size=WIDE) as pilot:
        await focus_log(app, pilot, "$ make test")
        lines = [line.strip() for line in shown(app).splitlines() if "▾" in line]
        assert any("▾ $ make  2.50s" in line for line in lines)
        assert view(app).row_count == 5
        assert view(app).line_count == 3


async def test_folded_command_hides_its_lines_and_counts_them() -> None:
    app = two_commands("one", "two", "three")
    async with app.run_test(size=WIDE) as pilot:
        await focus_log(app, pilot, "$ make test")
        await pilot.press("g", "z")
        await until(pilot, sees(app, "▸ $ make  2.50s · 2 lines"))
        assert "two" not in shown(app)
        assert "three" in shown(app)
        await pilot.press("enter")
        await until(pilot, sees(app, "two"))


async def test_fold_all_folds_and_unfolds() -> None:
    app = two_commands("one", "two", "three")
    async with app.run_test(size=WIDE) as pilot:
        await focus_log(app, pilot, "$ make test")
        await pilot.press("Z")
        await until(pilot, lambda: view(app).row_count == 2)
        await pilot.press("Z")
        await until(pilot, lambda: view(app).row_count == 5)


async def test_found_line_is_unfolded() -> None:
    app = two_commands("one", "needle", "three")
    async with app.run_test(size=WIDE) as pilot:
        await focus_log(app, pilot, "$ make test")
        await pilot.press("Z")
        await until(pilot, lambda: view(app).row_count == 2)
        await pilot.press("slash", *"needle", "enter")
        await until(pilot, sees(app, "1 of 1 found"))
        assert view(app).current_line == 1
        assert view(app).row_count == 4


async def test_marked_lines_include_folded_ones_and_no_heading() -> None:
    app = two_commands("one", "two", "three")
    async with app.run_test(size=WIDE) as pilot:
        await focus_log(app, pilot, "$ make test")
        await pilot.press("g", "z", "m", "G")
        assert view(app).text_of(view(app).selected_lines()) == "one\ntwo\nthree"


async def test_cursor_passes_headings_in_both_directions() -> None:
    app = two_commands("one", "two", "three")
    async with app.run_test(size=WIDE) as pilot:
        await focus_log(app, pilot, "$ make test")
        await pilot.press("g", "m", "j", "j")
        await until(pilot, lambda: view(app).current_line == 2)
        await pilot.press("k", "k")
        await until(pilot, lambda: view(app).current_line == 0)


async def test_filter_shows_lines_only() -> None:
    app = two_commands("one", "two", "three")
    async with app.run_test(size=WIDE) as pilot:
        await focus_log(app, pilot, "$ make test")
        await pilot.press("ampersand", "t", "enter")
        await until(pilot, sees(app, "filter: 2 lines"))
        assert "$ make" not in shown(app)


async def test_collapsed_group_is_folded_and_its_marker_is_its_heading() -> None:
    app = two_commands(
        "::group::Install", "a", "::endgroup::", "\x1b[0Ksection_start:1:x[collapsed=true]\r\x1b[0KTidy", "b"
    )
    async with app.run_test(size=WIDE) as pilot:
        await focus_log(app, pilot, "▾ Install")
        await until(pilot, sees(app, "▸ Tidy  1 line"))
        assert "::group::" not in shown(app)


async def test_running_command_appears_before_its_first_line() -> None:
    app = two_commands("one", "two")
    app.controller.live_frames["work"] = asyncio.Queue()
    async with app.run_test(size=WIDE) as pilot:
        await focus_log(app, pilot, "$ make test")
        app.controller.live_frames["work"].put_nowait(CommandStarted(KEY, 2, 3, None, "sleep 60"))
        await until(pilot, sees(app, "$ sleep 60"))
        app.controller.live_frames["work"].put_nowait(Lines(KEY, 3, (LogLine(None, "slept"),)))
        await until(pilot, sees(app, "slept"))
