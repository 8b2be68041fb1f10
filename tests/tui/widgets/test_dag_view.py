"""The graph of a run: folded matrices, selection, narrow terminals."""

from __future__ import annotations

from dataclasses import replace

from textual.app import App, ComposeResult

from tests.support.tui.driver import WIDE, sees, until
from tests.support.tui.fakes import FakeWorkbench, run, step
from workbench.client.models import Step
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.step_list import StepList


def matrix(count: int = 98) -> list[Step]:
    """A build, tests of which one fails and two run, and a report."""
    phases = {3: "Failed", 4: "Running", 5: "Running"}
    tests = [
        step(f"test (shard={n})", ("build",), phases.get(n, "Succeeded" if n < 50 else "Pending")) for n in range(count)
    ]
    return [step("build", (), "Succeeded"), *tests, step("report", tuple(each.name for each in tests))]


def matrix_app(count: int = 98) -> FakeWorkbench:
    return FakeWorkbench(
        [run("wide-1", "Running", matrix(count))], open_run="wide-1", lines={"test (shard=3)": ["shard three"]}
    )


async def test_space_folds_a_matrix() -> None:
    app = matrix_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗ test ×98 ✗1 ◐2 ✓47", "● report"))
        view = app.screen.query_one(DagView)
        assert view.virtual_size.height == 1
        await until(pilot, lambda: view.selected == "test (shard=3)")
        await pilot.press("space")
        await until(pilot, lambda: view.virtual_size.height == 98)
        assert view.box_of("test (shard=3)") != view.box_of("test (shard=4)")
        await pilot.press("space")
        await until(pilot, lambda: view.virtual_size.height == 1)
        await pilot.press("Z")
        await until(pilot, lambda: view.virtual_size.height == 98)


async def test_folded_matrix_selects_its_failed_step() -> None:
    app = matrix_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "test ×98"))
        view = app.screen.query_one(DagView)
        await pilot.press("left")
        await until(pilot, lambda: view.selected == "build")
        await pilot.press("right")
        await until(pilot, lambda: view.selected == "test (shard=3)")
        await until(pilot, sees(app, "shard three"))
        await pilot.press("right")
        await until(pilot, lambda: app.screen.query_one(StepList).cursor == "report")


async def test_matrix_counts_change_in_place() -> None:
    app = matrix_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✗1 ◐2 ✓47"))
        view = app.screen.query_one(DagView)
        before = view.box_of("report")
        app.change_run(run("wide-1", "Running", [replace(each, phase="Succeeded") for each in matrix()]))
        await until(pilot, sees(app, "✓ test ×98 ✓98"))
        assert view.box_of("report") == before


async def test_small_matrix_is_unfolded() -> None:
    app = matrix_app(3)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ test (shard=0)", "✓ test (shard=2)"))


async def test_double_click_unfolds_a_matrix() -> None:
    app = matrix_app()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "test ×98"))
        view = app.screen.query_one(DagView)
        box = view.box_of("test (shard=3)")
        assert box is not None
        await pilot.click(DagView, offset=(box.x + 3, box.y), times=2)
        await until(pilot, lambda: view.virtual_size.height == 98)


async def test_selected_step_of_a_large_graph_is_visible() -> None:
    steps = [step(f"s{at}", (f"s{at - 1}",) if at % 20 else (), "Succeeded") for at in range(200)]
    steps[119] = replace(steps[119], phase="Failed")
    app = FakeWorkbench([run("big-1", "Running", steps)], open_run="big-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "› s119"))
        view = app.screen.query_one(DagView)

        def in_sight() -> bool:
            box = view.box_of("s119")
            return box is not None and 0 <= box.x - view.scroll_offset.x <= view.size.width - box.width

        await until(pilot, in_sight)


class Narrow(App[None]):
    """Nothing but a graph."""

    def compose(self) -> ComposeResult:
        yield DagView()


async def test_narrow_graph_is_a_list() -> None:
    steps = [step("a"), *(step(f"long-name-of-step-{n}", (("a", *(f"long-name-of-step-{m}" for m in range(n)))[-1],))
                          for n in range(6))]  # fmt: skip
    app = Narrow()
    async with app.run_test(size=(60, 20)) as pilot:
        view = app.query_one(DagView)
        view.show_steps(steps)
        await pilot.pause()
        assert view.virtual_size.height == 7
        assert [view.render_line(y).text.strip() for y in range(2)] == ["● a", "╰─● long-name-of-step-0"]
        view.focus()
        await pilot.press("v")
        assert view.virtual_size.height == 1
        await pilot.press("v", "down", "down")
        assert view.selected == "long-name-of-step-0"
