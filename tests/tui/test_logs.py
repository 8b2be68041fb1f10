"""What a person can do with logs: find, keep, wrap, mark, copy, save, times, several at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.fakes import Scene, run, step
from tests.tui.test_workbench import SMALL, WIDE, sees, shown, until
from workbench.client import Lines, LogLine, StreamKey
from workbench.tui.widgets.log.grid import LogGrid
from workbench.tui.widgets.log.view import LogView


def one_log(*lines: str, phase: str = "Running") -> Scene:
    scene = Scene([run("live-1", phase, [step("work", (), phase)])], open_run="live-1")
    scene.controller.lines["work"] = list(lines)
    return scene


def view(scene: Scene) -> LogView:
    return scene.app.screen.query_one(LogGrid).active.view


async def type_into(pilot: Pilot[int], key: str, text: str) -> None:
    await pilot.press(key)
    keys = {" ": "space", "!": "exclamation_mark", ":": "colon", "+": "plus", ".": "full_stop", "\\": "backslash"}
    await pilot.press(*(keys.get(char, char) for char in text), "enter")


async def test_find_sees_the_text_and_not_the_colours() -> None:
    scene = one_log("\x1b[31mred\x1b[0m herring", "31 fish", "nee\x1b[1mdle\x1b[0m")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "31 fish"))
        await pilot.press("3")
        await type_into(pilot, "slash", "31")
        await until(pilot, sees(scene, "1 of 1 found"))
        assert view(scene).current_line == 1
        await type_into(pilot, "slash", "needle")
        await until(pilot, lambda: view(scene).current_line == 2)


async def test_find_takes_a_text_as_it_is_and_a_regular_expression_when_told() -> None:
    scene = one_log("axb", "a.b")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "a.b"))
        await pilot.press("3")
        await type_into(pilot, "slash", "a.b")
        await until(pilot, sees(scene, "1 of 1 found"))
        assert view(scene).current_line == 1
        await pilot.press("slash", "ctrl+t", "enter")
        await until(pilot, sees(scene, "of 2 found"))


async def test_keeping_lines_shows_those_alone_and_goes_on_as_more_come() -> None:
    scene = one_log()
    scene.controller.live_frames["work"] = asyncio.Queue()
    key = StreamKey("work", 1, "step")

    def come(first: int, *texts: str) -> None:
        scene.controller.live_frames["work"].put_nowait(Lines(key, first, tuple(LogLine(None, text) for text in texts)))

    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        come(1, "an apple", "a pear", "apple pie")
        await until(pilot, sees(scene, "apple pie"))
        await pilot.press("3")
        await type_into(pilot, "ampersand", "apple")
        await until(pilot, sees(scene, "only 2 kept", "an apple", "apple pie"))
        assert "a pear" not in shown(scene)
        come(4, "plum", "more apples")
        await until(pilot, sees(scene, "only 3 kept", "more apples"))
        assert "plum" not in shown(scene)
        await pilot.press("i")
        await until(pilot, sees(scene, "without 2 kept", "a pear", "plum"))
        assert "apple pie" not in shown(scene)
        await type_into(pilot, "ampersand", "")
        await until(pilot, sees(scene, "a pear", "apple pie"))
        await type_into(pilot, "ampersand", "nowhere")
        await until(pilot, sees(scene, "No line matches what is to be kept"))


async def test_a_line_that_was_in_view_stays_in_view_when_lines_are_kept() -> None:
    scene = one_log(*(f"line {n}{' keep' if n % 3 == 0 else ''}" for n in range(1, 3001)))
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "line 3000"))
        await pilot.press("3")
        await type_into(pilot, "slash", "line 1500")
        await until(pilot, sees(scene, "line 1500 keep"))
        await type_into(pilot, "ampersand", "keep")
        await until(pilot, sees(scene, "only 1,000 kept", "line 1500 keep"))
        assert "line 1501" not in shown(scene)
        await type_into(pilot, "ampersand", "")
        await until(pilot, sees(scene, "line 1500 keep", "line 1501"))


async def test_long_lines_are_wrapped_and_every_row_of_them_can_be_reached() -> None:
    long = " ".join(f"word{n}" for n in range(500))
    scene = one_log("first", long, "last")
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "last", "word0 word1"))
        assert "word499" not in shown(scene)
        await pilot.press("3", "w")
        await until(pilot, sees(scene, "word499", "last"))
        seen = set()
        for _ in range(60):
            seen |= {word for word in shown(scene).split() if word.startswith("word")}
            await pilot.press("up")
        assert len(seen) == 500
        await until(pilot, sees(scene, "first"))
        await pilot.press("G")
        await until(pilot, sees(scene, "last", "following"))
        await pilot.press("w")
        await until(pilot, sees(scene, "first", "last"))


async def test_the_window_stays_where_it_is_while_a_step_floods() -> None:
    scene = one_log(*(f"line {n}" for n in range(1, 501)))
    scene.controller.live_frames["work"] = asyncio.Queue()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "line 500"))
        await pilot.press("3", "g")
        await until(pilot, sees(scene, "line 1", "line 2"))
        for batch in range(20):
            key, first = StreamKey("work", 1, "step"), 501 + batch * 1000
            lines = tuple(LogLine(None, f"line {n}") for n in range(first, first + 1000))
            scene.controller.live_frames["work"].put_nowait(Lines(key, first, lines))
        await until(pilot, sees(scene, "↓ 20,000 new lines"))
        assert view(scene).scroll_offset.y == 0
        assert "20,500 lines" in shown(scene)


async def test_errors_are_gone_through_and_shown_in_the_margin() -> None:
    scene = one_log("ok", "an error here", *["fine"] * 200, "FATAL: no", "0 errors")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "▎FATAL: no", " 0 errors"))
        await pilot.press("3", "g", "right_square_bracket")
        await until(pilot, lambda: view(scene).current_line == 1)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: view(scene).current_line == 202)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: view(scene).current_line == 1)


async def test_marked_lines_are_copied_as_they_are_shown() -> None:
    scene = one_log("one", "\x1b[31mtwo\x1b[0m", "three\tx", "four")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "four"))
        await pilot.press("3")
        await type_into(pilot, "slash", "two")
        await until(pilot, sees(scene, "1 of 1 found"))
        await pilot.press("m", "j")
        await until(pilot, sees(scene, "2 marked"))
        await pilot.press("y")
        await until(pilot, sees(scene, "Copied 2 lines."))
        assert scene.app.clipboard == "two\nthree   x"


async def test_what_the_mouse_selects_is_copied_without_numbers() -> None:
    scene = one_log("alpha beta", "gamma delta")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "gamma delta"))
        margin = view(scene)._line_style.margin
        await pilot.mouse_down(LogView, offset=(margin + 6, 0))
        await pilot.hover(LogView, offset=(margin + 4, 1))
        await pilot.mouse_up(LogView, offset=(margin + 4, 1))
        await pilot.press("3", "y")
        await until(pilot, sees(scene, "Copied 2 lines."))
        assert scene.app.clipboard == "beta\ngamma"


async def test_a_log_is_saved_whole_and_never_over_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scene = one_log("\x1b[31mred\x1b[0m", "two")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "two"))
        await pilot.press("3", "ctrl+s")
        await until(pilot, sees(scene, "Saved 2 lines to"))
        await pilot.press("Y")
        await until(pilot, sees(scene, "its path is copied"))
    assert (tmp_path / "live-1-work-1.log").read_text() == "\x1b[31mred\x1b[0m\ntwo\n"
    assert scene.app.clipboard == str(tmp_path / "live-1-work-1-2.log")


async def test_a_log_can_be_read_from_a_moment_on() -> None:
    scene = one_log(*(f"line {n}" for n in range(1, 301)))
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "line 300"))
        await pilot.press("3", "t")
        await until(pilot, sees(scene, ":00.000  line 300"))
        await type_into(pilot, "T", "+0.0001")
        await until(pilot, lambda: view(scene).current_line == 100)
        await type_into(pilot, "T", "25:99")
        await until(pilot, sees(scene, "25:99 is no time"))


async def test_two_steps_are_read_beside_each_other() -> None:
    steps = [step("one", (), "Running"), step("two", ("one",), "Running")]
    scene = Scene([run("live-1", "Running", steps)], open_run="live-1")
    scene.controller.lines.update(one=["from the first"], two=["from the second"])
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "from the first"))
        await pilot.press("3", "plus")
        await until(pilot, lambda: len(scene.app.screen.query_one(LogGrid).panes) == 2)
        await pilot.press("1", "right")
        await until(pilot, sees(scene, "from the first", "from the second"))
        await pilot.press("3", "f")
        await until(pilot, lambda: "from the first" not in shown(scene))
        assert "from the second" in shown(scene)
        await pilot.press("f", "minus")
        await until(pilot, lambda: "from the second" not in shown(scene))
        assert "from the first" in shown(scene)


async def test_there_are_at_most_four_logs() -> None:
    scene = one_log("a line")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "a line"))
        await pilot.press("3", "plus", "plus", "plus", "plus")
        await until(pilot, sees(scene, "There is room for 4 logs."))
        assert len(scene.app.screen.query_one(LogGrid).panes) == 4
        await until(pilot, lambda: shown(scene).count("a line") == 4)


async def test_a_regular_expression_without_an_end_is_given_up_and_the_keys_go_on() -> None:
    scene = one_log("a" * 200 + "b", "other")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "other"))
        await pilot.press("3", "slash", "ctrl+t")
        await pilot.press("left_parenthesis", "a", "plus", "right_parenthesis", "plus", "dollar_sign", "enter")
        await pilot.press("2")
        await until(pilot, lambda: scene.app.focused is not None and scene.app.focused.id == "steps")
        await until(pilot, sees(scene, "takes too long on a line of this log"))
