"""Finding and moving in the editor."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tui.driver import until
from tests.tui.screens.test_editor import GOOD, EditorSession
from workbench.tui.screens.editor import EditorScreen


@pytest.fixture
def session(tmp_path: Path) -> EditorSession:
    return EditorSession(tmp_path)


async def test_text_is_found_while_it_is_typed(session: EditorSession) -> None:
    async with session.open() as pilot:
        editor = session.screen.editor
        editor.move_cursor((5, 2))
        await pilot.press("ctrl+f", *"imag")
        await until(pilot, session.sees("2 of 2"))
        assert (editor.selected_text, editor.cursor_location[0]) == ("imag", 7)
        await pilot.press(*"zz")
        await until(pilot, session.sees("no match"))
        assert editor.cursor_location == (5, 2), "as if nothing had been searched"
        await pilot.press("escape")
        await until(pilot, lambda: session.app.focused is editor)
        assert editor.cursor_location == (5, 2)
        assert isinstance(session.app.screen, EditorScreen)
        await pilot.press("ctrl+f", *"name", "enter", "x")
        await until(pilot, lambda: "  - x: test" in editor.text)


async def test_next_and_previous_match(session: EditorSession) -> None:
    async with session.open() as pilot:
        editor = session.screen.editor
        await pilot.press("ctrl+f", *"lint", "enter")
        await until(pilot, lambda: session.app.focused is editor and editor.selected_text == "lint")
        assert editor.cursor_location == (3, 14)
        await pilot.press("f3")
        await until(pilot, lambda: editor.cursor_location == (9, 20))
        await pilot.press("f3")
        await until(pilot, lambda: editor.cursor_location == (3, 14))
        await pilot.press("shift+f3")
        await until(pilot, lambda: editor.cursor_location == (9, 20))
        assert editor.text == GOOD


async def test_line_is_gone_to_by_its_number(session: EditorSession) -> None:
    async with session.open() as pilot:
        editor = session.screen.editor
        await pilot.press("ctrl+g", "7")
        await until(pilot, lambda: editor.cursor_location == (6, 0))
        await pilot.press("0")
        await until(pilot, session.sees("1 to 11"))
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: session.app.focused is editor and editor.cursor_location == (6, 0))
        await pilot.press("ctrl+end")
        assert editor.cursor_location == editor.document.end
        await pilot.press("ctrl+shift+home")
        assert editor.selected_text == GOOD
        await pilot.press("ctrl+home")
        assert editor.selection.is_empty
        assert editor.cursor_location == (0, 0)


async def test_completion_closes_its_bracket(session: EditorSession) -> None:
    async with session.open() as pilot:
        editor = session.screen.editor
        editor.move_cursor(editor.document.end)
        await pilot.press(*"  - name: last", "enter", *"depe", "tab")
        await until(pilot, lambda: editor.text.endswith("dependsOn: []"))
        await pilot.press(*"lint]")
        await until(pilot, lambda: editor.text.endswith("dependsOn: [lint]"))


async def test_graph_of_a_text_that_cannot_be_read_says_so(session: EditorSession) -> None:
    async with session.open() as pilot:
        await until(pilot, session.sees("● lint"))
        await pilot.press("ctrl+end", *"x: [")
        await until(pilot, session.sees("graph of the last readable text", "● lint"))
        await pilot.press("]")
        await until(pilot, lambda: not session.sees("graph of the last")())
