"""The command that opens a file at a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.tui.terminal.editor_command import EditorCommandError, editor_command

FILE = Path("/home/me/my shop/a.py")


@pytest.mark.parametrize(
    ("editor", "command"),
    [
        ("vi", ["vi", "+7", str(FILE)]),
        ("/usr/bin/nvim -p", ["/usr/bin/nvim", "-p", "+7", str(FILE)]),
        ("nano", ["nano", "+7", str(FILE)]),
        ("emacsclient -t", ["emacsclient", "-t", "+7", str(FILE)]),
        ("micro", ["micro", "+7", str(FILE)]),
        ("code --wait", ["code", "--wait", "--goto", f"{FILE}:7"]),
        ("hx", ["hx", f"{FILE}:7"]),
        ("subl -w", ["subl", "-w", f"{FILE}:7"]),
        ("my-editor", ["my-editor", str(FILE)]),
    ],
)
def test_editor_gets_file_and_line(editor: str, command: list[str]) -> None:
    assert editor_command({"EDITOR": editor}, FILE, 7) == command


def test_visual_comes_before_editor() -> None:
    assert editor_command({"VISUAL": "vim", "EDITOR": "ed"}, FILE, 1)[0] == "vim"
    assert editor_command({"VISUAL": " ", "EDITOR": "ed"}, FILE, 1) == ["ed", str(FILE)]


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({}, "No editor is set"),
        ({"EDITOR": "vim '"}, "EDITOR can't be read"),
        ({"VISUAL": "''", "EDITOR": ""}, "names no"),
    ],
)
def test_missing_editor_is_explained(environment: dict[str, str], problem: str) -> None:
    with pytest.raises(EditorCommandError, match=problem):
        editor_command(environment, FILE, 1)
