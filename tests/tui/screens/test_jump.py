"""Jump mode."""

from __future__ import annotations

from pathlib import Path

from tests.support.tui.driver import SMALL, WIDE, sees, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, busy_app, hello
from workbench.tui.command_palette import ActionPalette
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.jump import JumpScreen
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.jump_targets import JumpTarget, jump_targets, labels
from workbench.tui.widgets.runs_table import RunsTable
from workbench.tui.widgets.step_list import StepList
from workbench.tui.widgets.tab_bar import TabBar


def label_of(app: FakeWorkbench, targets: list[JumpTarget], widget: type, place: str) -> str:
    at = next(at for at, each in enumerate(targets) if isinstance(each.widget, widget) and each.place == place)
    return labels(len(targets))[at]


async def test_a_label_goes_to_a_row() -> None:
    app = busy_app()
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-6"))
        label = label_of(app, jump_targets(app.screen), RunsTable, "hello-6")
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        await pilot.press(label)
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert app.screen.query_one(RunsTable).cursor == "hello-6"


async def test_labels_of_two_letters_reach_steps_in_graph_and_list() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        for widget, step in ((DagView, "scan"), (StepList, "deps")):
            label = label_of(app, jump_targets(app.screen), widget, step)
            await pilot.press("ctrl+o")
            await until(pilot, lambda: isinstance(app.screen, JumpScreen))
            await pilot.press(*label)
            await until(pilot, lambda step=step: isinstance(app.screen, RunScreen) and app.screen.step == step)
            assert isinstance(app.focused, widget)


async def test_a_label_opens_a_tab() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await pilot.press("d")
        await until(pilot, sees(app, "Why", "Artifacts"))
        label = label_of(app, jump_targets(app.screen), TabBar, "events")
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        await pilot.press(label)
        await until(pilot, sees(app, "There are no events of the Jobs"))


async def test_another_key_or_escape_jumps_nowhere() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-6"))
        before = app.screen.query_one(RunsTable).cursor
        for key in ("escape", "z", "ctrl+o"):
            await pilot.press("ctrl+o")
            await until(pilot, lambda: isinstance(app.screen, JumpScreen))
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
            assert app.screen.query_one(RunsTable).cursor == before


async def test_a_resize_below_the_palette_ends_jump_mode_when_that_is_closed() -> None:
    app = busy_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, ActionPalette))
        await pilot.resize_terminal(*SMALL)
        await pilot.pause(0.1)
        assert isinstance(app.screen, ActionPalette)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_jump_mode_works_while_text_is_edited(tmp_path: Path) -> None:
    file = tmp_path / ".c8s.yaml"
    file.write_text("name: shop\n")
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, file))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))


def test_labels_are_unique_and_none_begins_another() -> None:
    for count in (0, 1, 26, 27, 300):
        found = labels(count)
        assert len(set(found)) == count
        assert len({len(label) for label in found}) <= 1
