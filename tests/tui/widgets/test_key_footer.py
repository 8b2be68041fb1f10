"""The footer fits the state of the run, and the width of the terminal."""

from __future__ import annotations

import pytest

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, busy_app, hello
from workbench.tui.widgets.log.view import LogView


def footer(app: FakeWorkbench) -> str:
    return ["", *shown(app).splitlines()][-1]


async def test_footer_follows_the_state_of_the_run() -> None:
    app = FakeWorkbench([hello(7, "Running")], open_run="hello-7")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: footer(app).split()[:4] == ["s", "Follow", "^x", "Cancel"])
        app.change_run(hello(7, "Failed"))
        await until(pilot, lambda: footer(app).split()[:4] == ["M", "Resume", "R", "Rerun"])
        assert "Cancel" not in footer(app)
        app.change_run(hello(7))
        await until(pilot, lambda: footer(app).split()[:4] == ["R", "Rerun", "=", "Compare"])


async def test_footer_of_the_list_follows_the_selected_run() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: "Cancel" in footer(app))
        await pilot.press("down")
        await until(pilot, lambda: "Resume" in footer(app) and "Cancel" not in footer(app))


async def test_no_screen_offers_to_cancel_a_run_that_has_ended() -> None:
    app = FakeWorkbench([hello(6, "Failed"), hello(5)], launcher=FakeLauncher(), open_run="hello-6")
    screens = {"d": "details", "T": "tests", "=": " and ", "K": "secrets", "P": "pushes", "C": "cluster", "H": "mes"}
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        for key, title in screens.items():
            await until(pilot, lambda: "Resume" in footer(app) and "Cancel" not in footer(app))
            await pilot.press(key.replace("=", "equals_sign"))
            await until(pilot, lambda title=title: title in shown(app).partition("\n")[0])
            await until(pilot, lambda: "Back" in footer(app) and "Cancel" not in footer(app))
            await pilot.press("escape")
        await pilot.press("e")
        await until(pilot, lambda: "edit ›" in shown(app) and "Cancel" not in footer(app))


async def test_footer_of_another_screen_follows_the_end_of_its_run() -> None:
    app = FakeWorkbench([hello(7, "Running")], open_run="hello-7")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: "Follow" in footer(app))
        await pilot.press("d")
        await until(pilot, lambda: "Back" in footer(app) and "Cancel" in footer(app))
        assert footer(app).index("Back") < footer(app).index("Cancel")
        app.change_run(hello(7))
        await until(pilot, lambda: "Cancel" not in footer(app))


async def test_footer_of_a_field_has_no_key_that_is_text_there() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: "26 passed" in shown(app) and "Follow" in footer(app))
        await pilot.press("3")
        await until(pilot, lambda: "/ Find" in footer(app))
        await pilot.press("slash")
        await until(pilot, lambda: "/ Find" not in footer(app) and "f1 Help" in footer(app))
        await pilot.press("escape")
        await until(pilot, lambda: "/ Find" in footer(app))


@pytest.mark.parametrize("width", [40, 60, 80, 99, 100, 140])
async def test_footer_shows_whole_keys_and_help_at_any_width(width: int) -> None:
    app = busy_app(open_run="wordcount-12")
    async with app.run_test(size=(width, SMALL[1]), notifications=True) as pilot:
        await until(pilot, lambda: "? Help" in footer(app) and "Resume" in footer(app))
        names = footer(app).replace("▏", " ").split()
        known = {"Resume", "Rerun", "Edit", "Details", "Back", "Run", "Help", "Quit", "Open", "Why", "palette"}
        assert set(names[1::2]) <= known


async def test_follow_works_without_the_focus_on_the_log() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: "Follow" in footer(app))
        view = app.screen.query("LogPane").first().query_one(LogView)
        # The log of a failed step opens at its first failing line, and does not follow then.
        await until(pilot, lambda: not view.follow)
        await pilot.press("2", "s")
        await until(pilot, lambda: view.follow)


@pytest.mark.parametrize(("key", "offered"), [("P", "B Again"), ("K", "D Delete"), ("H", "y Copy")])
async def test_an_empty_list_offers_nothing_to_do_with_a_row(key: str, offered: str) -> None:
    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7", "Open"))
        await pilot.press(key)
        await until(pilot, lambda: "esc Back" in shown(app).splitlines()[-1])
        last = shown(app).splitlines()[-1]
        assert offered not in last
        assert "⏎" not in last
