"""Editing a pipeline: problems and graph while one types, completion, saving, drafts, running what is on the screen."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from controller.pipeline.diagnostics import Diagnostic
from tests.tui.fakes import FakeLauncher, Scene, hello
from tests.tui.test_workbench import SMALL, WIDE, sees, shown, until
from workbench.pipeline_file.drafts import Drafts
from workbench.tui.screens.dialogs import ConfirmDialog, ProblemsDialog
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.params import ParamsDialog
from workbench.tui.screens.run import RunScreen
from workbench.tui.services.interfaces import LaunchResult
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.editor.completion_list import CompletionPopup

GOOD = """\
version: v1alpha1
name: shop
steps:
  - name: lint
    image: busybox:1.36
    commands: ["true"]
  - name: test
    image: busybox:1.36
    commands: ["true"]
    dependsOn: [lint]
"""


class EditorFixture:
    """An editor on a file in a folder of its own."""

    def __init__(self, tmp_path: Path, text: str | None = GOOD) -> None:
        self.file = tmp_path / "shop" / ".c8s.yaml"
        self.file.parent.mkdir(exist_ok=True)
        if text is not None:
            self.file.write_text(text)
        self.drafts = Drafts(tmp_path / "drafts")
        self.launcher = FakeLauncher(LaunchResult(hello(8, "Running")), self.file)
        self.app_fixture = Scene([hello(7)], launcher=self.launcher)

    @asynccontextmanager
    async def open(self, size: tuple[int, int] = WIDE) -> AsyncIterator[Pilot[int]]:
        async with self.app_fixture.app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, sees(self.app_fixture, "hello-7"))
            self.screen = EditorScreen(self.file, self.drafts)
            self.app_fixture.app.push_screen(self.screen)
            await until(pilot, sees(self.app_fixture, "edit ›", "1  "))
            await until(pilot, lambda: self.app_fixture.app.focused is self.screen.editor)
            yield pilot

    def sees(self, *texts: str) -> Any:
        return sees(self.app_fixture, *texts)


@pytest.fixture
def desk(tmp_path: Path) -> EditorFixture:
    return EditorFixture(tmp_path)


async def test_the_graph_and_the_problems_follow_what_is_typed(desk: EditorFixture) -> None:
    async with desk.open() as pilot:
        await until(pilot, desk.sees("● lint", "● test", "saved"))
        desk.screen.editor.move_cursor(desk.screen.editor.document.end)
        await pilot.press(*"  - name: x", "enter", *"imagee: y")
        await until(pilot, desk.sees("modified", "imagee", "did you mean `image`?", "● x"))


async def test_f8_leads_through_the_problems_and_the_heading_says_what_is_wrong_here(tmp_path: Path) -> None:
    desk = EditorFixture(
        tmp_path, GOOD.replace("dependsOn: [lint]", "dependsOn: [lnit]").replace("name: shop", "nam: shop")
    )
    async with desk.open() as pilot:
        await until(pilot, desk.sees("errors"))
        await pilot.press("f8")
        await until(pilot, lambda: desk.screen.editor.cursor_location[0] == 1)
        await pilot.press("f8")
        await until(pilot, lambda: desk.screen.editor.cursor_location[0] == 9)
        await until(pilot, lambda: "lnit" in shown(desk.app_fixture).splitlines()[1])
        await pilot.press("f8")
        await until(pilot, lambda: desk.screen.editor.cursor_location[0] != 9)


async def test_completion_offers_while_one_types_and_tab_takes_it(desk: EditorFixture) -> None:
    async with desk.open() as pilot:
        editor = desk.screen.editor
        editor.move_cursor(editor.document.end)
        await pilot.press(*"    tim")
        await until(pilot, lambda: desk.screen.query_one(CompletionPopup).cursor == "timeout")
        await until(pilot, desk.sees("From the start of the step"))
        await pilot.press("tab")
        await until(pilot, lambda: editor.text.endswith("    timeout: "))
        await until(pilot, lambda: not editor.completing or desk.sees("The default")())


async def test_completion_of_steps_by_key_and_escape_closes_it(desk: EditorFixture) -> None:
    async with desk.open() as pilot:
        editor = desk.screen.editor
        editor.move_cursor(editor.document.end)
        await pilot.press(*"  - name: publish", "enter", *"dependsOn: [")
        await pilot.press("ctrl+@")
        listed = desk.screen.query_one(CompletionPopup)
        await until(pilot, lambda: bool(listed.display) and listed.cursor == "lint")
        await pilot.press("escape")
        await until(pilot, lambda: not listed.display)
        assert desk.app_fixture.app.screen is desk.screen, "the first Escape closes the list only"
        await pilot.press("ctrl+@")
        await until(pilot, lambda: bool(listed.display))
        await pilot.press("down", "enter")
        await until(pilot, lambda: editor.text.endswith("dependsOn: [test"))


async def test_enter_indents_as_yaml_wants_it(tmp_path: Path) -> None:
    desk = EditorFixture(tmp_path, "")
    async with desk.open() as pilot:
        await pilot.press(*"steps:", "enter", *"- name: a", "enter", *"commands:", "enter", *"- one", "enter", *"two")
        assert desk.screen.editor.text == "steps:\n  - name: a\n    commands:\n      - one\n      - two"
        await pilot.press("enter", "enter", *"x")
        assert desk.screen.editor.text.endswith("      - two\n    x")


async def test_comment_and_back(desk: EditorFixture) -> None:
    async with desk.open() as pilot:
        editor = desk.screen.editor
        editor.move_cursor((4, 0))
        editor.action_comment()
        assert editor.document.get_line(4) == "    # image: busybox:1.36"
        editor.action_comment()
        assert editor.text == GOOD
        await pilot.pause()


async def test_what_is_on_the_screen_runs_without_being_saved(desk: EditorFixture) -> None:
    async with desk.open() as pilot:
        await pilot.press(*"# mine")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(desk.app_fixture.app.screen, RunScreen))
        assert desk.launcher.options["text"].startswith("# mineversion")
        assert desk.file.read_text() == GOOD


async def test_a_text_with_errors_starts_nothing(desk: EditorFixture) -> None:
    problem = Diagnostic(1, 1, "", "error", "no-steps", "no steps at all", "")
    desk.launcher.outcome = LaunchResult(None, (problem,))
    desk.launcher.parsed = None
    async with desk.open() as pilot:
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(desk.app_fixture.app.screen, ProblemsDialog))
        await until(pilot, desk.sees("no steps at all"))


async def test_parameters_are_asked_for_with_their_defaults_and_remembered(desk: EditorFixture) -> None:
    desk.launcher.parsed = {
        "name": "shop",
        "params": [
            {"name": "target", "default": "dev", "options": ["dev", "prod"], "description": "where to"},
            {"name": "tag"},
        ],
    }
    async with desk.open() as pilot:
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(desk.app_fixture.app.screen, ParamsDialog))
        await until(pilot, desk.sees("target", "where to", "dev"))
        await pilot.press("ctrl+r")
        await until(pilot, desk.sees("`tag` has no default"))
        await pilot.press("tab", *"v1", "enter")
        await until(pilot, lambda: isinstance(desk.app_fixture.app.screen, RunScreen))
        assert desk.launcher.options["params"] == {"target": "dev", "tag": "v1"}
        desk.app_fixture.app.pop_screen()
        desk.app_fixture.app.action_launch()
        await until(pilot, lambda: isinstance(desk.app_fixture.app.screen, ParamsDialog))
        await until(pilot, desk.sees("v1"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(desk.app_fixture.app.screen, ParamsDialog))
        assert desk.launcher.launches == 1


async def test_saving_writes_the_file_and_says_so(desk: EditorFixture) -> None:
    async with desk.open() as pilot:
        await pilot.press(*"# x ", "ctrl+s")
        await until(pilot, desk.sees("Saved"))
        assert desk.file.read_text().startswith("# x version")
        assert stat.S_IMODE(desk.file.stat().st_mode) & 0o111 == 0


async def test_unsaved_text_is_there_again_after_leaving_and_after_a_crash(desk: EditorFixture) -> None:
    async with desk.open() as pilot:
        await pilot.press(*"# mine ")
        await until(pilot, lambda: desk.drafts.find(desk.file) is not None)
        await pilot.press("escape")
        await until(pilot, desk.sees("kept as a draft"))
        assert desk.file.read_text() == GOOD
        await pilot.press("e")
        await until(pilot, lambda: isinstance(desk.app_fixture.app.screen, EditorScreen))
    draft = desk.drafts.find(desk.file)
    assert draft is not None
    assert draft.text.startswith("# mine ")


async def test_who_types_without_a_pause_has_a_draft_all_the_same(desk: EditorFixture) -> None:
    async with desk.open() as pilot:

        def typed() -> bool:
            desk.screen.editor.insert("#")
            return desk.drafts.find(desk.file) is not None

        await until(pilot, typed)


async def test_a_change_on_disk_is_loaded_when_nothing_is_unsaved(desk: EditorFixture) -> None:
    async with desk.open() as pilot:
        desk.file.write_text(GOOD.replace("shop", "market"))
        desk.screen._check_disk()
        await until(pilot, desk.sees("name: market", "has changed on disk and is loaded again"))


async def test_a_change_on_disk_is_told_when_something_is_and_saving_asks(desk: EditorFixture) -> None:
    async with desk.open() as pilot:
        await pilot.press(*"# mine ")
        desk.file.write_text("name: theirs\n")
        desk.screen._check_disk()
        await until(pilot, desk.sees("The file has changed on disk"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(desk.app_fixture.app.screen, ConfirmDialog))
        await pilot.press("enter")
        await until(pilot, lambda: desk.app_fixture.app.screen is desk.screen)
        assert desk.file.read_text() == "name: theirs\n", "the focus is on No"
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(desk.app_fixture.app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, desk.sees("name: theirs"))
        assert desk.drafts.find(desk.file) is None


async def test_a_file_that_cannot_be_read_is_told_and_nothing_opens(desk: EditorFixture) -> None:
    async with desk.app_fixture.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(desk.app_fixture, "hello-7"))
        desk.file.write_bytes(b"\xff\xfe")
        desk.app_fixture.app.push_screen(EditorScreen(desk.file, desk.drafts))
        await until(pilot, desk.sees("no UTF-8 text"))
        await until(pilot, lambda: not isinstance(desk.app_fixture.app.screen, EditorScreen))


async def test_in_a_folder_without_a_pipeline_e_writes_a_first_one_that_can_be_run(tmp_path: Path) -> None:
    made = FakeLauncher(LaunchResult(hello(8, "Running")))
    scene = Scene([], folder=tmp_path, make_launcher=lambda path: made)
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "There is no .c8s.yaml here"))
        await pilot.press("e")
        await until(pilot, sees(scene, "version: v1alpha1", "new file, not saved"))
        await pilot.press("ctrl+s")
        await until(pilot, sees(scene, "Saved"))
        assert (tmp_path / ".c8s.yaml").exists()
        await pilot.press("escape", "r")
        await until(pilot, lambda: made.launches == 1)


async def test_a_step_chosen_in_the_graph_is_found_in_the_text(desk: EditorFixture) -> None:
    async with desk.open() as pilot:
        await until(pilot, desk.sees("● test"))
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(desk.app_fixture.app.focused, DagView))
        await pilot.press("right", "right")
        await until(pilot, lambda: desk.screen.editor.cursor_location[0] == 6)


async def test_without_tree_sitter_the_text_has_colours_all_the_same(desk: EditorFixture) -> None:
    async with desk.open() as pilot:
        editor = desk.screen.editor
        editor.language = None
        await pilot.pause()
        assert not editor.is_syntax_aware
        line = editor.get_line(1)
        assert any(span.start == 0 and span.end == 4 for span in line.spans)
