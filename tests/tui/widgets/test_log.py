"""Log widgets: search, filter, wrapping, marking, copying, saving, times, several logs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.pilot import Pilot

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeWorkbench, run, step
from workbench.client import Lines, LogLine, StreamKey
from workbench.tui.widgets.log.grid import LogGrid
from workbench.tui.widgets.log.line_renderer import apply_style
from workbench.tui.widgets.log.view import LogView


def one_log(*lines: str, phase: str = "Running") -> FakeWorkbench:
    app = FakeWorkbench([run("live-1", phase, [step("work", (), phase)])], open_run="live-1")
    app.controller.lines["work"] = list(lines)
    return app


def view(app: FakeWorkbench) -> LogView:
    return app.screen.query_one(LogGrid).active.view


async def type_into(pilot: Pilot[int], key: str, text: str) -> None:
    await pilot.press(key)
    keys = {" ": "space", "!": "exclamation_mark", ":": "colon", "+": "plus", ".": "full_stop", "\\": "backslash"}
    await pilot.press(*(keys.get(char, char) for char in text), "enter")


async def test_find_ignores_colours() -> None:
    app = one_log("\x1b[31mred\x1b[0m herring", "31 fish", "nee\x1b[1mdle\x1b[0m")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "31 fish"))
        await pilot.press("3")
        await type_into(pilot, "slash", "31")
        await until(pilot, sees(app, "1 of 1 found"))
        assert view(app).current_line == 1
        await type_into(pilot, "slash", "needle")
        await until(pilot, lambda: view(app).current_line == 2)


@pytest.mark.parametrize("pane", ["1", "2"])
async def test_find_from_the_graph_and_the_steps_types_into_the_field(pane: str) -> None:
    app = one_log("first", "quick brown deer")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "quick brown deer"))
        await pilot.press(pane)
        await type_into(pilot, "slash", "deer")
        await until(pilot, sees(app, "1 of 1 found"))
        assert view(app).current_line == 1
        assert app.focused is view(app)


async def test_find_takes_text_or_regex() -> None:
    app = one_log("axb", "a.b")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "a.b"))
        await pilot.press("3")
        await type_into(pilot, "slash", "a.b")
        await until(pilot, sees(app, "1 of 1 found"))
        assert view(app).current_line == 1
        await pilot.press("slash", "ctrl+t", "enter")
        await until(pilot, sees(app, "of 2 found"))


async def test_filter_applies_to_new_lines() -> None:
    app = one_log()
    app.controller.live_frames["work"] = asyncio.Queue()
    key = StreamKey("work", 1, "step")

    def come(first: int, *texts: str) -> None:
        app.controller.live_frames["work"].put_nowait(Lines(key, first, tuple(LogLine(None, text) for text in texts)))

    async with app.run_test(size=WIDE, notifications=True) as pilot:
        come(1, "an apple", "a pear", "apple pie")
        await until(pilot, sees(app, "apple pie"))
        await pilot.press("3")
        await type_into(pilot, "ampersand", "apple")
        await until(pilot, sees(app, "filter: 2 lines", "an apple", "apple pie"))
        assert "a pear" not in shown(app)
        come(4, "plum", "more apples")
        await until(pilot, sees(app, "filter: 3 lines", "more apples"))
        assert "plum" not in shown(app)
        await pilot.press("i")
        await until(pilot, sees(app, "inverted filter: 2 lines", "a pear", "plum"))
        assert "apple pie" not in shown(app)
        await type_into(pilot, "ampersand", "")
        await until(pilot, sees(app, "a pear", "apple pie"))
        await type_into(pilot, "ampersand", "nowhere")
        await until(pilot, sees(app, "No line matches the filter"))


async def test_filter_keeps_the_current_line_visible() -> None:
    app = one_log(*(f"line {n}{' keep' if n % 3 == 0 else ''}" for n in range(1, 3001)))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 3000"))
        await pilot.press("3")
        await type_into(pilot, "slash", "line 1500")
        await until(pilot, sees(app, "line 1500 keep"))
        await type_into(pilot, "ampersand", "keep")
        await until(pilot, sees(app, "filter: 1,000 lines", "line 1500 keep"))
        assert "line 1501" not in shown(app)
        await type_into(pilot, "ampersand", "")
        await until(pilot, sees(app, "line 1500 keep", "line 1501"))


async def test_every_row_of_a_wrapped_line_can_be_reached() -> None:
    long = " ".join(f"word{n}" for n in range(500))
    app = one_log("first", long, "last")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "last", "word0 word1"))
        assert "word499" not in shown(app)
        await pilot.press("3", "w")
        await until(pilot, sees(app, "word499", "last"))
        seen = set()
        for _ in range(60):
            seen |= {word.lstrip("↳") for word in shown(app).split() if word.lstrip("↳").startswith("word")}
            await pilot.press("up")
        assert len(seen) == 500
        await until(pilot, sees(app, "first"))
        await pilot.press("G")
        await until(pilot, sees(app, "last", "following"))
        await pilot.press("w")
        await until(pilot, sees(app, "first", "last"))


async def test_rows_of_a_wrapped_line_have_a_sign_and_are_copied_as_one_line() -> None:
    long = " ".join(f"word{n}" for n in range(40))
    app = one_log("first", long, f"error: {long}", "last")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "last"))
        await pilot.press("3", "w")
        await until(pilot, sees(app, "↳word", "word39"))
        rows = [row for row in shown(app).splitlines() if "word" in row]
        firsts = [row for row in rows if " word0 " in row]
        assert len(firsts) == 2
        assert all("↳word" in row for row in rows if row not in firsts)
        # Also without numbers, where nothing else tells them from lines.
        await pilot.press("number_sign")
        await until(pilot, lambda: "   2 " not in shown(app) and "↳word" in shown(app))
        await type_into(pilot, "slash", "word20")
        await until(pilot, sees(app, "1 of 2 found"))
        await pilot.press("y")
        await until(pilot, sees(app, "Copied 1 line"))
        assert app.clipboard == long


async def test_scroll_position_stays_while_lines_arrive() -> None:
    app = one_log(*(f"line {n}" for n in range(1, 501)))
    app.controller.live_frames["work"] = asyncio.Queue()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 500"))
        await pilot.press("3", "g")
        await until(pilot, sees(app, "line 1", "line 2"))
        for batch in range(20):
            key, first = StreamKey("work", 1, "step"), 501 + batch * 1000
            lines = tuple(LogLine(None, f"line {n}") for n in range(first, first + 1000))
            app.controller.live_frames["work"].put_nowait(Lines(key, first, lines))
        await until(pilot, sees(app, "↓ 20,000 new lines"))
        assert view(app).scroll_offset.y == 0
        assert "20,500 lines" in shown(app)


async def test_error_lines_are_marked_and_can_be_visited() -> None:
    app = one_log("ok", "an error here", *["fine"] * 200, "FATAL: no", "0 errors")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "▎FATAL: no", " 0 errors"))
        await pilot.press("3", "g", "right_square_bracket")
        await until(pilot, lambda: view(app).current_line == 1)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: view(app).current_line == 202)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: view(app).current_line == 1)


async def test_marked_lines_are_copied_as_shown() -> None:
    app = one_log("one", "\x1b[31mtwo\x1b[0m", "three\tx", "four")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "four"))
        await pilot.press("3")
        await type_into(pilot, "slash", "two")
        await until(pilot, sees(app, "1 of 1 found"))
        await pilot.press("m", "j")
        await until(pilot, sees(app, "2 marked"))
        await pilot.press("y")
        await until(pilot, sees(app, "Copied 2 lines."))
        assert app.clipboard == "two\nthree   x"


async def test_mouse_selection_is_copied_without_numbers() -> None:
    app = one_log("alpha beta", "gamma delta")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "gamma delta"))
        margin = view(app)._line_style.margin
        await pilot.mouse_down(LogView, offset=(margin + 6, 0))
        await pilot.hover(LogView, offset=(margin + 4, 1))
        await pilot.mouse_up(LogView, offset=(margin + 4, 1))
        await pilot.press("3", "y")
        await until(pilot, sees(app, "Copied 2 lines."))
        assert app.clipboard == "beta\ngamma"


async def test_saved_log_never_overwrites_a_file(
    tmp_path: Path, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = one_log("\x1b[31mred\x1b[0m", "two")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "two"))
        await pilot.press("3", "ctrl+s")
        await until(pilot, sees(app, "Saved 2 lines to"))
        await pilot.press("Y")
        await until(pilot, sees(app, "its path is copied"))
    assert (downloads / "live-1-work-1.log").read_text() == "\x1b[31mred\x1b[0m\ntwo\n"
    assert app.clipboard == str(downloads / "live-1-work-1-2.log")
    assert list(tmp_path.iterdir()) == [], "the working tree is sent with each run"


async def test_time_prompt_goes_to_a_line() -> None:
    app = one_log(*(f"line {n}" for n in range(1, 301)))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 300"))
        await pilot.press("3", "t")
        await until(pilot, sees(app, ":00.000  line 300"))
        await type_into(pilot, "colon", "+0.0001")
        await until(pilot, lambda: view(app).current_line == 100)
        await type_into(pilot, "colon", "25:99")
        await until(pilot, sees(app, "25:99 is not a time"))


async def test_two_logs_are_shown_side_by_side() -> None:
    steps = [step("one", (), "Running"), step("two", ("one",), "Running")]
    app = FakeWorkbench([run("live-1", "Running", steps)], open_run="live-1")
    app.controller.lines.update(one=["from the first"], two=["from the second"])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "from the first"))
        await pilot.press("3", "plus")
        await until(pilot, lambda: len(app.screen.query_one(LogGrid).panes) == 2)
        await pilot.press("1", "right")
        await until(pilot, sees(app, "from the first", "from the second"))
        await pilot.press("3", "f")
        await until(pilot, lambda: "from the second" in shown(app) and "from the first" not in shown(app))
        await pilot.press("f", "minus")
        await until(pilot, lambda: "from the first" in shown(app) and "from the second" not in shown(app))


async def test_at_most_four_logs_are_shown() -> None:
    app = one_log("a line")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "a line"))
        await pilot.press("3", "plus", "plus", "plus", "plus")
        await until(pilot, sees(app, "At most 4 logs can be shown."))
        assert len(app.screen.query_one(LogGrid).panes) == 4
        await until(pilot, lambda: shown(app).count("a line") == 4)


async def test_regex_with_nested_repetition_ends() -> None:
    app = one_log("a" * 200 + "b", "other")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "other"))
        await pilot.press("3", "slash", "ctrl+t")
        await pilot.press("left_parenthesis", "a", "plus", "right_parenthesis", "plus", "dollar_sign", "enter")
        await until(pilot, sees(app, "no matches"))


def test_spans_that_overlap_are_drawn_to_the_end() -> None:
    bold = Style(bold=True)
    pieces = apply_style([Segment("abc"), Segment("def")], [(0, 4), (2, 5)], bold)
    assert [(piece.text, piece.style) for piece in pieces] == [("abc", bold), ("d", bold), ("e", bold), ("f", None)]
