"""The graph on the screen: folded matrices, the list where it is narrow, ASCII, themes, and signs beside colours."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from tests.tui.fakes import Scene, busy_app, run, step
from tests.tui.test_workbench import SMALL, WIDE, sees, shown, until
from workbench.client.models import Step
from workbench.text.width import cell_width
from workbench.tui.base_app import AppOptions
from workbench.tui.terminal.ascii_filter import supports_unicode, to_ascii
from workbench.tui.theme import DARK, LIGHT, PHASE_SIGNS, phase_sign
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.step_list import StepList


def matrix(count: int = 98) -> list[Step]:
    """A build, tests of which one fails and two run, and a report."""
    phases = {3: "Failed", 4: "Running", 5: "Running"}
    tests = [
        step(f"test (shard={n})", ("build",), phases.get(n, "Succeeded" if n < 50 else "Pending")) for n in range(count)
    ]
    return [step("build", (), "Succeeded"), *tests, step("report", tuple(each.name for each in tests))]


def matrix_scene(count: int = 98) -> Scene:
    return Scene(
        [run("wide-1", "Running", matrix(count))], open_run="wide-1", lines={"test (shard=3)": ["shard three"]}
    )


async def test_a_matrix_is_one_box_with_counts_and_space_opens_and_closes_it() -> None:
    scene = matrix_scene()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✗ test ×98 ✗1 ◐2 ✓47", "● report"))
        view = scene.app.screen.query_one(DagView)
        assert view.virtual_size.height == 1
        await until(pilot, lambda: view.selected == "test (shard=3)")
        await pilot.press("space")
        await until(pilot, lambda: view.virtual_size.height == 98)
        assert view.box_of("test (shard=3)") != view.box_of("test (shard=4)")
        await pilot.press("space")
        await until(pilot, lambda: view.virtual_size.height == 1)
        await pilot.press("z")
        await until(pilot, lambda: view.virtual_size.height == 98)


async def test_an_arrow_key_onto_a_closed_matrix_chooses_the_step_that_failed() -> None:
    scene = matrix_scene()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "test ×98"))
        view = scene.app.screen.query_one(DagView)
        await pilot.press("left")
        await until(pilot, lambda: view.selected == "build")
        await pilot.press("right")
        await until(pilot, lambda: view.selected == "test (shard=3)")
        await until(pilot, sees(scene, "shard three"))
        await pilot.press("right")
        await until(pilot, lambda: scene.app.screen.query_one(StepList).cursor == "report")


async def test_the_counts_of_a_closed_matrix_change_without_moving_what_is_behind() -> None:
    scene = matrix_scene()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✗1 ◐2 ✓47"))
        view = scene.app.screen.query_one(DagView)
        before = view.box_of("report")
        scene.change(run("wide-1", "Running", [replace(each, phase="Succeeded") for each in matrix()]))
        await until(pilot, sees(scene, "✓ test ×98 ✓98"))
        assert view.box_of("report") == before


async def test_a_small_matrix_stands_open() -> None:
    scene = matrix_scene(3)
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "✓ test (shard=0)", "✓ test (shard=2)"))


async def test_two_clicks_open_a_matrix() -> None:
    scene = matrix_scene()
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "test ×98"))
        view = scene.app.screen.query_one(DagView)
        box = view.box_of("test (shard=3)")
        assert box is not None
        await pilot.click(DagView, offset=(box.x + 3, box.y), times=2)
        await until(pilot, lambda: view.virtual_size.height == 98)


async def test_a_step_far_away_in_a_large_graph_is_in_sight_when_the_run_opens() -> None:
    steps = [step(f"s{at}", (f"s{at - 1}",) if at % 20 else (), "Succeeded") for at in range(200)]
    steps[119] = replace(steps[119], phase="Failed")
    scene = Scene([run("big-1", "Running", steps)], open_run="big-1")
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "› s119"))
        view = scene.app.screen.query_one(DagView)

        def in_sight() -> bool:
            box = view.box_of("s119")
            return box is not None and 0 <= box.x - view.scroll_offset.x <= view.size.width - box.width

        await until(pilot, in_sight)


class Narrow(App[None]):
    """Nothing but a graph."""

    def compose(self) -> ComposeResult:
        yield DagView()


async def test_where_it_is_narrow_the_graph_is_a_list_and_v_turns_it() -> None:
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


async def test_a_terminal_without_unicode_gets_ascii_and_nothing_else() -> None:
    scene = busy_app(open_run="webshop-42", options=AppOptions(ascii_only=True))
    async with scene.app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(scene, "26 passed", "v clone", "x unit", "* build-web", "o image", "~ publish"))
        assert shown(scene).isascii()
        await pilot.press("question_mark")
        await until(pilot, sees(scene, "Keys", "Anywhere"))
        assert shown(scene).isascii()


@pytest.mark.parametrize(
    ("environ", "takes"),
    [
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "de_DE.utf8", "TERM": "xterm"}, True),
        ({}, True),
        ({"LANG": "C.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({"LC_ALL": "", "LANG": "en_US.UTF-8"}, True),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, False),
    ],
)
def test_the_locale_and_the_terminal_tell_whether_there_is_unicode(environ: dict[str, str], takes: bool) -> None:
    assert supports_unicode(environ) is takes


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30))
def test_ascii_takes_as_many_cells_as_what_it_stands_for(text: str) -> None:
    assert to_ascii(text).isascii()
    assert cell_width(to_ascii(text)) == cell_width(text)


def test_no_two_ends_of_a_step_have_the_same_sign() -> None:
    ends = [phase_sign(phase) for phase in ("Running", "Succeeded", "Failed", "Skipped", "Cancelled", "Pending")]
    ends.append(phase_sign("Failed", allowed=True))
    assert len(set(ends)) == len(ends)
    assert len({to_ascii(each) for each in ends}) == len(ends)
    assert set(PHASE_SIGNS.values()) < set(ends)


@pytest.mark.parametrize("theme", [DARK.name, LIGHT.name, "ansi-dark", "ansi-light"])
async def test_every_theme_shows_the_graph_and_the_log(theme: str) -> None:
    scene = busy_app(open_run="webshop-42")
    scene.app.theme = theme
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "✗ unit", "26 passed"))
        assert scene.app.theme == theme
