"""The editor: problems, graph, completion, saving, drafts, running unsaved text."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets._toast import Toast

from controller.pipeline.diagnostics import Diagnostic
from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, hello
from workbench.pipeline_file.drafts import Drafts
from workbench.pipeline_file.load import LintOutcome
from workbench.tui.screens.dialogs import ConfirmDialog, ProblemsDialog
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.params import ParamsDialog
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.editor.completion_list import CompletionPopup
from workbench.tui.widgets.editor.problem_list import ProblemList

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


class EditorSession:
    """An editor on a file in a folder of its own."""

    def __init__(self, tmp_path: Path, text: str | None = GOOD) -> None:
        self.file = tmp_path / "shop" / ".c8s.yaml"
        self.file.parent.mkdir(exist_ok=True)
        if text is not None:
            self.file.write_text(text)
        self.drafts = Drafts(tmp_path / "drafts")
        self.launcher = FakeLauncher(hello(8, "Running"), self.file)
        self.app = FakeWorkbench([hello(7)], launcher=self.launcher)

    @asynccontextmanager
    async def open(self, size: tuple[int, int] = WIDE) -> AsyncIterator[Pilot[int]]:
        async with self.app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, sees(self.app, "hello-7"))
            self.screen = EditorScreen(self.file, self.drafts)
            self.app.push_screen(self.screen)
            await until(pilot, sees(self.app, "edit ›", "1  "))
            await until(pilot, lambda: self.app.focused is self.screen.editor)
            yield pilot

    def sees(self, *texts: str) -> Any:
        return sees(self.app, *texts)


@pytest.fixture
def session(tmp_path: Path) -> EditorSession:
    return EditorSession(tmp_path)


async def test_graph_and_problems_follow_the_text(session: EditorSession) -> None:
    async with session.open() as pilot:
        await until(pilot, session.sees("● lint", "● test", "saved"))
        session.screen.editor.move_cursor(session.screen.editor.document.end)
        await pilot.press(*"  - name: x", "enter", *"imagee: y")
        await until(pilot, session.sees("modified", "imagee", "did you mean `image`?", "● x"))


async def test_f8_goes_through_the_problems(tmp_path: Path) -> None:
    session = EditorSession(
        tmp_path, GOOD.replace("dependsOn: [lint]", "dependsOn: [lnit]").replace("name: shop", "nam: shop")
    )
    async with session.open() as pilot:
        await until(pilot, session.sees("errors"))
        await pilot.press("f8")
        await until(pilot, lambda: session.screen.editor.cursor_location[0] == 1)
        await pilot.press("f8")
        await until(pilot, lambda: session.screen.editor.cursor_location[0] == 9)
        await until(pilot, lambda: "lnit" in shown(session.app).splitlines()[1])
        await pilot.press("f8")
        await until(pilot, lambda: session.screen.editor.cursor_location[0] != 9)


async def test_tab_accepts_a_completion(session: EditorSession) -> None:
    async with session.open() as pilot:
        editor = session.screen.editor
        editor.move_cursor(editor.document.end)
        await pilot.press(*"    tim")
        await until(pilot, lambda: session.screen.query_one(CompletionPopup).cursor == "timeout")
        await until(pilot, session.sees("From the start of the step"))
        await pilot.press("tab")
        await until(pilot, lambda: editor.text.endswith("    timeout: "))
        await until(pilot, lambda: not editor.completing or session.sees("The default")())


async def test_escape_closes_the_completions_only(session: EditorSession) -> None:
    async with session.open() as pilot:
        editor = session.screen.editor
        editor.move_cursor(editor.document.end)
        await pilot.press(*"  - name: publish", "enter", *"dependsOn: [")
        await pilot.press("ctrl+@")
        listed = session.screen.query_one(CompletionPopup)
        await until(pilot, lambda: bool(listed.display) and listed.cursor == "lint")
        await pilot.press("escape")
        await until(pilot, lambda: not listed.display)
        assert session.app.screen is session.screen, "the first Escape closes the list only"
        await pilot.press("ctrl+@")
        await until(pilot, lambda: bool(listed.display))
        await pilot.press("down", "enter")
        await until(pilot, lambda: editor.text.endswith("dependsOn: [test"))


async def test_enter_indents_yaml(tmp_path: Path) -> None:
    session = EditorSession(tmp_path, "")
    async with session.open() as pilot:
        await pilot.press(*"steps:", "enter", *"- name: a", "enter", *"commands:", "enter", *"- one", "enter", *"two")
        assert session.screen.editor.text == "steps:\n  - name: a\n    commands:\n      - one\n      - two"
        await pilot.press("enter", "enter", *"x")
        assert session.screen.editor.text.endswith("      - two\n    x")


async def test_comment_toggles(session: EditorSession) -> None:
    async with session.open() as pilot:
        editor = session.screen.editor
        editor.move_cursor((4, 0))
        editor.action_comment()
        assert editor.document.get_line(4) == "    # image: busybox:1.36"
        editor.action_comment()
        assert editor.text == GOOD
        await pilot.pause()


async def test_unsaved_text_can_be_run(session: EditorSession) -> None:
    async with session.open() as pilot:
        await pilot.press(*"# mine")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(session.app.screen, RunScreen))
        assert session.launcher.text is not None
        assert session.launcher.text.startswith("# mineversion")
        assert session.file.read_text() == GOOD


async def test_text_with_errors_starts_no_run(session: EditorSession) -> None:
    problem = Diagnostic(1, 1, "", "error", "no-steps", "no steps at all", "")
    session.launcher.pipeline = LintOutcome((problem,), None)
    async with session.open() as pilot:
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(session.app.screen, ProblemsDialog))
        await until(pilot, session.sees("no steps at all"))


async def test_parameters_are_asked_and_remembered(session: EditorSession) -> None:
    definition = {
        "name": "hello",
        "params": [
            {"name": "target", "default": "dev", "options": ["dev", "prod"], "description": "where to"},
            {"name": "tag"},
        ],
    }
    session.launcher.pipeline = LintOutcome((), definition)
    async with session.open() as pilot:
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(session.app.screen, ParamsDialog))
        await until(pilot, session.sees("target", "where to", "dev"))
        await pilot.press("ctrl+r")
        await until(pilot, session.sees("`tag` has no default"))
        await pilot.press("tab", *"v1", "enter")
        await until(pilot, lambda: isinstance(session.app.screen, RunScreen))
        assert session.launcher.options["params"] == {"target": "dev", "tag": "v1"}
        session.app.pop_screen()
        session.app.action_launch()
        await until(pilot, lambda: isinstance(session.app.screen, ParamsDialog))
        await until(pilot, session.sees("v1"))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(session.app.screen, ParamsDialog))
        assert session.launcher.launches == 1


async def test_save_writes_the_file(session: EditorSession) -> None:
    async with session.open() as pilot:
        await pilot.press(*"# x ", "ctrl+s")
        await until(pilot, session.sees("Saved"))
        assert session.file.read_text().startswith("# x version")
        assert stat.S_IMODE(session.file.stat().st_mode) & 0o111 == 0


async def test_unsaved_text_is_kept_as_a_draft(session: EditorSession) -> None:
    async with session.open() as pilot:
        await pilot.press(*"# mine ")
        await until(pilot, lambda: session.drafts.find(session.file) is not None)
        await pilot.press("escape")
        await until(pilot, session.sees("kept as a draft"))
        assert session.file.read_text() == GOOD
        await pilot.press("e")
        await until(pilot, lambda: isinstance(session.app.screen, EditorScreen))
    draft = session.drafts.find(session.file)
    assert draft is not None
    assert draft.text.startswith("# mine ")


async def test_draft_is_saved_while_typing(session: EditorSession) -> None:
    async with session.open() as pilot:

        def typed() -> bool:
            session.screen.editor.insert("#")
            return session.drafts.find(session.file) is not None

        await until(pilot, typed)


async def test_change_on_disk_is_loaded(session: EditorSession) -> None:
    async with session.open() as pilot:
        session.file.write_text(GOOD.replace("shop", "market"))
        session.screen._check_disk()
        await until(pilot, session.sees("name: market", "has changed on disk; reloaded"))


async def test_change_on_disk_never_overwrites_silently(session: EditorSession) -> None:
    async with session.open() as pilot:
        await pilot.press(*"# mine ")
        session.file.write_text("name: theirs\n")
        session.screen._check_disk()
        await until(pilot, session.sees("The file has changed on disk"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(session.app.screen, ConfirmDialog))
        await pilot.press("enter")
        await until(pilot, lambda: session.app.screen is session.screen)
        assert session.file.read_text() == "name: theirs\n", "the focus is on No"
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(session.app.screen, ConfirmDialog))
        await pilot.press("y")
        await until(pilot, session.sees("name: theirs"))
        assert session.drafts.find(session.file) is None


async def test_unreadable_file_is_reported(session: EditorSession) -> None:
    async with session.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(session.app, "hello-7"))
        session.file.write_bytes(b"\xff\xfe")
        session.app.push_screen(EditorScreen(session.file, session.drafts))
        # The length of the path decides where the message is broken into lines.
        await until(pilot, session.sees("(byte 1)"))
        await until(pilot, lambda: not isinstance(session.app.screen, EditorScreen))


async def test_first_pipeline_can_be_created_and_run(tmp_path: Path) -> None:
    made = FakeLauncher(hello(8, "Running"))
    app = FakeWorkbench([], folder=tmp_path, make_launcher=lambda path: made)
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "There is no .c8s.yaml here"))
        await pilot.press("e")
        await until(pilot, sees(app, "version: v1alpha1", "new file, not saved"))
        await pilot.press("ctrl+s")
        await until(pilot, sees(app, "Saved"))
        assert (tmp_path / ".c8s.yaml").exists()
        await pilot.press("escape", "r")
        await until(pilot, lambda: made.launches == 1)


async def test_selected_step_is_shown_in_the_text(session: EditorSession) -> None:
    async with session.open() as pilot:
        await until(pilot, session.sees("● test"))
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(session.app.focused, DagView))
        await pilot.press("right", "right")
        await until(pilot, lambda: session.screen.editor.cursor_location[0] == 6)


async def test_text_is_highlighted_without_tree_sitter(session: EditorSession) -> None:
    async with session.open() as pilot:
        editor = session.screen.editor
        editor.language = None
        await pilot.pause()
        assert not editor.is_syntax_aware
        line = editor.get_line(1)
        assert any(span.start == 0 and span.end == 4 for span in line.spans)


async def test_notification_does_not_cover_the_problems(tmp_path: Path) -> None:
    file = tmp_path / ".c8s.yaml"
    file.write_text("nonsense: [1]\n")
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, file))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("e")
        await until(pilot, sees(app, "nonsense", "✗"))
        app.notify("look at this")
        await until(pilot, sees(app, "look at this"))
        problems = app.screen.query_one(ProblemList)
        await until(pilot, lambda: app.screen.query_one(Toast).region.bottom < problems.region.y)


async def test_text_can_be_drawn_after_any_undo(session: EditorSession) -> None:
    """Textual loses count of the lines when several edits are undone at once that add and remove lines."""
    random = Random(36)

    def somewhere() -> tuple[int, int]:
        row = random.randrange(editor.document.line_count)
        return row, random.randrange(len(editor.document.get_line(row)) + 1)

    async with session.open() as pilot:
        editor = session.screen.editor
        for _ in range(150):
            acts: list[Callable[[], object]] = [
                lambda: editor.insert(random.choice("xy"), somewhere()),
                lambda: editor.replace(random.choice(["z", "1\n2\n3", ""]), somewhere(), somewhere()),
                lambda: editor.delete(somewhere(), somewhere()),
                editor.undo,
                editor.undo,
                editor.redo,
            ]
            random.choice(acts)()
            assert editor.wrapped_document.height == editor.document.line_count
        await pilot.pause()
        assert session.app.failures == {}
