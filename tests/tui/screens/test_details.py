"""The details of a step: its tabs, and the keys that move in them."""

from __future__ import annotations

from tests.support.tui.driver import sees, shown, until
from tests.support.tui.fakes import FakeWorkbench, run, step
from workbench.tui.screens.details import DetailsScreen
from workbench.tui.widgets.text_pane import TextPane

LOW = (60, 12)


async def test_keys_of_lists_scroll_a_tab_and_change_it() -> None:
    app = FakeWorkbench([run("shop-1", "Succeeded", [step("build", (), "Succeeded")])], open_run="shop-1")
    app.controller.artifact_files = {"report.txt": b"all good"}
    async with app.run_test(size=LOW, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ build"))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DetailsScreen))
        pane = app.screen.query_one("#why", TextPane)
        await until(pilot, lambda: pane.max_scroll_y > 2)
        for key, line in (("j", 1), ("down", 2), ("k", 1), ("G", pane.max_scroll_y), ("g", 0), ("space", None)):
            await pilot.press(key)
            await until(pilot, lambda line=line: pane.scroll_y == line if line is not None else pane.scroll_y > 1)
        await pilot.press("l", "right", "l", "l")
        await until(pilot, sees(app, "Enter shows a file", "report.txt"))
        await pilot.press("enter")
        await until(pilot, sees(app, "report.txt", "all good"))
        await pilot.press("escape", "h", "h")
        await until(pilot, lambda: "report.txt" not in shown(app))
        assert app.screen.focused is app.screen.query_one("#events")
