"""Finding in a log while the text is typed."""

from __future__ import annotations

from tests.support.tui.driver import WIDE, sees, shown, until
from tests.tui.widgets.test_log import one_log, view

LINES = [f"line {n}{' needle' if n % 1000 == 0 else ''}" for n in range(1, 3001)]


async def test_the_first_match_is_shown_while_the_text_is_typed() -> None:
    app = one_log(*LINES, phase="Succeeded")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 3000"))
        await pilot.press("3", "g", "slash", *"need")
        await until(pilot, sees(app, "1 of 3 found", "line 1000 needle"))
        await pilot.press(*"les")
        await until(pilot, sees(app, "no matches", "line 33"))
        await pilot.press("backspace", "backspace", "enter", "n")
        await until(pilot, sees(app, "2 of 3 found", "line 2000 needle"))


async def test_escape_goes_back_to_where_the_search_began() -> None:
    app = one_log(*LINES, phase="Succeeded")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 3000"))
        await pilot.press("3", "g", *["pagedown"] * 2)
        before = view(app).bookmark()
        await pilot.press("slash", *"needle")
        await until(pilot, sees(app, "1 of 3 found"))
        await pilot.press("escape")
        await until(pilot, lambda: view(app).bookmark() == before and "found" not in shown(app))
        assert view(app).has_focus


async def test_an_emptied_field_goes_back_to_where_the_search_began() -> None:
    app = one_log(*LINES)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 3000"))
        await pilot.press("3", "slash", *"1500")
        await until(pilot, sees(app, "1 of 1 found", "line 1500"))
        await pilot.press(*["backspace"] * 4)
        await until(pilot, lambda: view(app).follow and "line 3000" in shown(app))


async def test_a_pattern_that_is_not_complete_is_no_error() -> None:
    app = one_log(*LINES, phase="Succeeded")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "line 3000"))
        await pilot.press("3", "g", "slash", "ctrl+t", *"need(")
        await until(pilot, sees(app, "1 of 3 found"))
        await pilot.press(*"le)")
        await until(pilot, sees(app, "1 of 3 found", "line 1000 needle"))
        assert not any("regular expression" in each.text for each in app.messages.newest_first())


async def test_a_match_far_to_the_right_is_scrolled_to() -> None:
    app = one_log("short", "x" * 3_000 + " needle " + "y" * 20_000, phase="Succeeded")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "short"))
        assert "needle" not in shown(app)
        await pilot.press("3", "slash", *"needle", "enter")
        await until(pilot, sees(app, "x needle y"))


async def test_a_match_beyond_what_is_shown_of_a_line_is_reported() -> None:
    app = one_log("short", "x" * 20_000 + " needle", phase="Succeeded")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "short"))
        await pilot.press("3", "slash", *"needle", "enter")
        await until(pilot, sees(app, "1 of 1 found", "The match is beyond what is shown of this long line"))
