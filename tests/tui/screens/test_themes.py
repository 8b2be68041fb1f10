"""Every screen in the themes that have the terminal's colours."""

from __future__ import annotations

from dataclasses import replace

from rich.color import ColorType
from textual.theme import BUILTIN_THEMES

from tests.support.tui.driver import WIDE, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, hello
from tests.tui.screens.test_deliveries import EXAMPLES, connected
from tests.tui.screens.test_test_results import FAILED as FAILED_TEST
from tests.tui.screens.test_test_results import HISTORY, UNIT, unit_run
from workbench.client.test_results import TestReport

_SCREENS = {
    "": "shop-3",
    "enter": "runs › shop-3",
    "T": "› tests",
    "d": "› details",
    "=": "and shop-3",
    "<": "of 12.3s",
    "P": "› pushes",
    "?": "Keyboard shortcuts",
    "e": "edit ›",
}
"""The keys that lead to each screen from a run, and what it shows."""


def _app() -> FakeWorkbench:
    deliveries = connected(*EXAMPLES)
    run = unit_run()
    app = FakeWorkbench([run, replace(run, name="shop-2", uid="shop-2", number=2), hello(7)], launcher=FakeLauncher())
    app.controller.known_connections = deliveries.controller.known_connections
    app.controller.test_report = TestReport((UNIT,), (FAILED_TEST,))
    app.controller.test_histories = {"unit": HISTORY}
    app.controller.lines["unit"] = ["\x1b[32mok\x1b[0m", "\x1b[38;5;208merror: no\x1b[0m"]
    return app


def _mixed(app: FakeWorkbench) -> set[str]:
    """The texts on the screen that are drawn in a colour which is not one of the terminal's."""
    found = set()
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            colours = (segment.style.color, segment.style.bgcolor) if segment.style is not None else ()
            if any(colour is not None and colour.type == ColorType.TRUECOLOR for colour in colours):
                found.add(segment.text)
    return {text for text in found if text.strip()}


async def test_ansi_themes_draw_every_screen_with_the_colours_of_the_terminal() -> None:
    themes = [name for name, theme in BUILTIN_THEMES.items() if theme.ansi]
    assert len(themes) > 1
    app = _app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: "shop-2" in shown(app))
        for number, (key, text) in enumerate(_SCREENS.items()):
            app.theme = themes[number % len(themes)]
            names = {"=": "equals_sign", "<": "less_than_sign", "?": "question_mark"}
            await pilot.press(names.get(key, key) or "home")
            await until(pilot, lambda text=text: text in shown(app))
            await until(pilot, lambda: not _mixed(app))
            if key not in ("", "enter"):
                await pilot.press("escape")
                await until(pilot, lambda: "runs › shop-3" in shown(app).partition("\n")[0] and "Back" in shown(app))
