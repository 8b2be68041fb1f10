"""The command that opens a file at a line in the user's editor. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

_PLUS = frozenset(("vi", "vim", "nvim", "view", "gvim", "nano", "emacs", "emacsclient", "micro", "kak", "joe", "ne"))
"""Editors that take the line as `+LINE`."""
_COLON = frozenset(("hx", "helix", "subl", "zed"))
"""Editors that take the line as `FILE:LINE`."""
_GOTO = frozenset(("code", "code-insiders", "codium", "cursor"))
"""Editors that take the line as `--goto FILE:LINE`."""


class EditorCommandError(Exception):
    """No editor is set, or its command can't be read; the message says what to do."""


def editor_command(environment: Mapping[str, str], path: Path, line: int) -> list[str]:
    """The command of `$VISUAL`, or else `$EDITOR`, for an absolute path; an unknown editor gets the file alone.

    Raises:
        EditorCommandError: neither is set, or its quotes are not closed.
    """
    variable = next((name for name in ("VISUAL", "EDITOR") if environment.get(name, "").strip()), None)
    if variable is None:
        raise EditorCommandError("No editor is set; set $VISUAL or $EDITOR, for example EDITOR=vim.")
    try:
        command = shlex.split(environment[variable])
    except ValueError as error:
        raise EditorCommandError(f"${variable} can't be read: {error}.") from error
    if not command or not command[0]:
        raise EditorCommandError(f"${variable} names no program; set it, for example to vim.")
    name = Path(command[0]).name.removesuffix(".exe")
    if name in _PLUS:
        return [*command, f"+{line}", str(path)]
    if name in _COLON:
        return [*command, f"{path}:{line}"]
    if name in _GOTO:
        return [*command, "--goto", f"{path}:{line}"]
    return [*command, str(path)]
