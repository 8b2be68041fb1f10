"""What is where: small terminals, the comparison, ASCII, and the mouse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from rich.color import ColorType
from textual.widgets import Input

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, busy_app, hello, run, step
from workbench.pipeline_file.load import LintOutcome
from workbench.report.details import Detail
from workbench.report.test_results import SIGNS
from workbench.text.width import cell_width
from workbench.tui.screens.details import details_text
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.terminal.ascii_filter import to_ascii
from workbench.tui.theme import palette
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.runs_table import RUN_BAR_SIGNS
from workbench.tui.widgets.step_list import BAR_SIGNS, StepList


@pytest.mark.parametrize("width", [60, 40])
async def test_footer_of_a_narrow_terminal_has_no_collision(width: int) -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, lambda: "palette" in shown(app).splitlines()[-1])
        await pilot.resize_terminal(width, 20)
        await until(pilot, lambda: "palette" not in shown(app).splitlines()[-1])


async def test_graph_takes_the_place_of_the_steps_in_a_small_terminal() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "├─✗ unit", "26 passed"))
        await pilot.press("1")
        await until(pilot, lambda: isinstance(app.focused, DagView))
        await until(pilot, lambda: app.screen.query_one(DagView).size.height > 1)
        await until(pilot, lambda: not app.screen.query_one(StepList).size)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.focused, StepList))
        await until(pilot, sees(app, "├─✗ unit"))


async def test_columns_of_a_comparison_do_not_touch() -> None:
    left = run("shop-1", "Cancelled", [step("build", (), "Cancelled", duration=1000), step("same", (), "Succeeded")])
    right = run("shop-2", "Succeeded", [step("build", (), "Succeeded"), step("same", (), "Succeeded", duration=1.49)])
    app = FakeWorkbench([left, replace(right, rerun_of="shop-1")], open_run="shop-2")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-2"))
        await pilot.press("equals_sign")
        await until(pilot, sees(app, "steps changed result", "⊘ Cancelled   ", "✓ Succeeded   "))
        assert "-0.0s" not in shown(app)
        await pilot.resize_terminal(60, 20)
        await until(pilot, sees(app, "⊘           ✓   6.50s", "✓   6.50s   ✓   6.49s"))


@pytest.mark.parametrize("signs", [BAR_SIGNS, RUN_BAR_SIGNS, SIGNS], ids=["steps", "runs", "tests"])
def test_each_state_has_a_sign_of_its_own_also_in_ascii(signs: Mapping[str, str]) -> None:
    assert len(set(signs.values())) == len(signs)
    assert len({to_ascii(sign) for sign in signs.values()}) == len(signs)


async def test_failed_steps_have_a_sign_in_the_bar_of_their_run() -> None:
    steps = [step(name, (), phase) for name, phase in (("a", "Failed"), ("b", "Succeeded"), ("c", "Skipped"))]
    app = FakeWorkbench([run("shop-1", "Running", [*steps, step("d", (), "Running"), step("e")])])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗✗━━━╌╌┅┅┅── 3/5"))


async def test_breadcrumb_leads_back() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        await pilot.press("d")
        await until(pilot, sees(app, "webshop-42 › unit › details"))
        await pilot.click(HeaderBar, offset=(shown(app).splitlines()[0].index("webshop-42") + 2, 0))
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await pilot.click(HeaderBar, offset=(shown(app).splitlines()[0].index("runs") + 1, 0))
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_enter_in_a_comparison_opens_the_log() -> None:
    left = run("shop-1", "Succeeded", [step("build", (), "Succeeded"), step("gone", (), "Succeeded")])
    right = run("shop-2", "Succeeded", [step("build", (), "Succeeded")])
    app = FakeWorkbench([left, replace(right, rerun_of="shop-1")], open_run="shop-2")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "shop-2"))
        await pilot.press("equals_sign")
        await until(pilot, sees(app, "changed result", "⏎ Log"))
        await pilot.press("enter")
        await until(pilot, sees(app, "shop-2 › build"))
        await pilot.press("escape", "end", "enter")
        await until(pilot, sees(app, "shop-1 › gone"))


@pytest.mark.parametrize(
    ("keys", "run"), [(("slash",), None), (("3", "slash"), "webshop-42"), (("K", "plus"), None), (("ctrl+p",), None)]
)
async def test_text_that_is_longer_than_its_field_is_seen(keys: tuple[str, ...], run: str | None) -> None:
    app = busy_app(open_run=run)
    async with app.run_test(size=(60, 20), notifications=True) as pilot:
        await until(pilot, sees(app, run or "hello-7"))
        await pilot.press(*keys)
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"word" * 20, *"END")
        await until(pilot, sees(app, "wordEND"))


async def test_notes_of_a_narrow_header_are_whole_or_left_out() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "webshop-42", "local processes · images ignored"))
        for width, note in ((66, "  images ignored"), (50, "")):
            await pilot.resize_terminal(width, 20)
            await until(pilot, lambda note=note: shown(app).splitlines()[0].rstrip().endswith(note or "unit"))
            assert "local" not in shown(app).splitlines()[0]


async def test_resume_refuses_a_run_of_another_pipeline() -> None:
    launcher = FakeLauncher(hello(8, "Running"))
    launcher.pipeline = LintOutcome((), {"name": "shop"})
    app = FakeWorkbench([hello(7)], launcher=launcher)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("M")
        await until(pilot, sees(app, "hello-7 is a run of hello"))
        assert launcher.launches == 0


async def test_ansi_theme_draws_with_the_colours_of_the_terminal() -> None:
    app = busy_app(open_run="webshop-42")
    app.theme = "ansi-dark"

    def mixed() -> set[str]:
        """The texts that are drawn in a colour of their own."""
        segments = [segment for strip in app.screen._compositor.render_strips() for segment in strip]
        coloured = [each for each in segments if each.style is not None and each.style.color is not None]
        return {each.text for each in coloured if each.text.strip() and each.style.color.type == ColorType.TRUECOLOR}

    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        assert mixed() == set()
        await pilot.press("ctrl+p")
        await until(pilot, sees(app, "Anywhere: Run"))
        assert mixed() == set()


async def test_border_between_steps_and_log_can_be_dragged() -> None:
    app = busy_app(open_run="webshop-42")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "26 passed"))
        steps = app.screen.query_one(StepList)
        before, row = steps.region, 3
        await pilot.mouse_down(StepList, offset=(before.width - 1, row))
        await pilot.hover(offset=(before.right + 9, before.y + row))
        await until(pilot, lambda: steps.region.width == before.width + 10)
        await pilot.mouse_up(offset=(before.right + 9, before.y + row))
        await pilot.hover(offset=(before.right + 20, before.y + row))
        await pilot.pause()
        assert steps.region.width == before.width + 10
        await pilot.resize_terminal(*SMALL)
        await until(pilot, lambda: steps.region.width == SMALL[0])
        await pilot.resize_terminal(*WIDE)
        await until(pilot, lambda: steps.region.width == before.width + 10)
        app.pop_screen()
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        app.open_run("webshop-42")
        await until(pilot, lambda: [each.region.width for each in app.screen.query(StepList)] == [before.width + 10])


async def test_buttons_of_a_long_dialog_are_seen_in_a_small_terminal() -> None:
    launcher = FakeLauncher(hello(8, "Running"))
    params = [{"name": f"P{number}", "default": "x"} for number in range(12)]
    launcher.pipeline = LintOutcome((), {"name": "hello", "params": params})
    app = FakeWorkbench([hello(7)], launcher=launcher)
    async with app.run_test(size=(60, 20), notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("r")
        await until(pilot, sees(app, "Run hello", "P0", "Back        Run"))


@pytest.mark.parametrize("width", [20, 37])
def test_long_values_of_details_stay_below_their_beginning(width: int) -> None:
    value = "unit failed: exit code 1 of a command with 長い名前 and more words"
    text = details_text((Detail("why", value), Detail("x" * 30, "short")), palette(FakeWorkbench()), width).plain
    first, *rest = [row for row in text.splitlines() if "x" * 30 not in row]
    assert first.startswith("why".ljust(19) + "unit")
    assert rest
    assert all(row[:19].isspace() and row[19] != " " for row in rest if "short" not in row)
    assert max(cell_width(row) for row in [first, *rest]) <= 19 + width
