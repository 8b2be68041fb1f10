"""Notifications never cover what one has to read: headers, footers, hints, fields, explanations, questions."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from textual.geometry import Region
from textual.widget import Widget

from tests.support.tui.driver import SMALL, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, busy_app, hello
from tests.support.tui.random_scene import DEFINITION, fill_controller, sample_runs
from workbench.pipeline_file.load import LintOutcome
from workbench.tui.screens.dialogs import ConfirmDialog

LONG = "the value of PASSWORD has fewer than 8 bytes: in logs it is also replaced by *** where it is a part of words"
READ = (
    "HeaderBar, KeyFooter, .details-hint, #run-heading, #runs-filter, #runs-filter-problem, #deliveries-why, "
    "#compare-heading, #compare-difference, #tests-details, #editor-heading, #editor-notice, #editor-problems, "
    "LogPrompt"
)
"""The parts that may not be covered."""
SCREENS = {
    "runs": (None, ()),
    "filter": (None, ("slash", *"age<1x")),
    "run": ("shop-3", ()),
    "find": ("shop-3", ("3", "slash", "o")),
    "details": ("shop-3", ("d",)),
    "tests": ("shop-3", ("T",)),
    "comparison": ("web-2", ("equals_sign",)),
    "cluster": (None, ("C",)),
    "secrets": (None, ("K",)),
    "pushes": (None, ("P",)),
    "editor": (None, ("e",)),
}


@pytest.mark.parametrize("screen", SCREENS)
async def test_toasts_cover_nothing_that_has_to_be_read(screen: str, tmp_path: Path) -> None:
    file = tmp_path / ".c8s.yaml"
    file.write_text("version: v1alpha1\nname: shop\n")
    launcher = FakeLauncher(hello(8, "Running"), file)
    launcher.pipeline = LintOutcome((), DEFINITION)
    opened, keys = SCREENS[screen]
    app = FakeWorkbench([], launcher=launcher, folder=tmp_path, open_run=opened)
    fill_controller(app.controller, (*sample_runs(Random(1)), hello(1), hello(2)))
    async with app.run_test(size=(60, 20), notifications=True) as pilot:
        await until(pilot, lambda: app.feed.runs.loaded)
        await pilot.press(*keys)
        await pilot.pause()
        app.notify(LONG, severity="warning", timeout=60)
        app.notify("registry / PASSWORD is set.", timeout=60)
        await until(pilot, lambda: bool(_seen(app, "Toast")))
        for size in ((60, 20), SMALL, (120, 40)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: app.screen.size == size)
            await pilot.pause()
            for part in app.screen.query(READ):
                if part.display and part.region and not _is_within(part, "ToastRack"):
                    covered = [toast for toast in _seen(app, "Toast") if toast.overlaps(part.region)]
                    assert not covered, (size, part, part.region, covered, shown(app))


def _seen(app: FakeWorkbench, selector: str) -> list[Region]:
    """Where these widgets are on the screen, without what is scrolled out of it."""
    placed = [app.screen.find_widget(each) for each in app.screen.query(selector) if each.region]
    return [each.visible_region for each in placed if each.visible_region]


def _is_within(widget: Widget, name: str) -> bool:
    return any(type(each).__name__ == name for each in widget.ancestors)


async def test_what_comes_during_a_question_is_shown_after_it() -> None:
    app = busy_app()
    async with app.run_test(size=(60, 20), notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        app.notify("Before the question.", timeout=60)
        await until(pilot, sees(app, "Before the question."))
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        app.notify("During the question.", timeout=60)
        await until(pilot, sees(app, "No       Delete the run"))
        assert "During the question." not in shown(app)
        assert not _seen(app, "Toast"), "that of the screen below is behind the question"
        assert [each.text for each in app.messages.newest_first()] == ["During the question.", "Before the question."]
        await pilot.press("n")
        await until(pilot, sees(app, "Before the question.", "During the question."))
