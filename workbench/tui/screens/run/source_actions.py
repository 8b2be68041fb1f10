"""Opening a line of a source file in the user's editor."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.report.source_location import SourceLocation
from workbench.submit.worktree import tree_root
from workbench.text.sanitize import sanitize_label
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.terminal.editor_command import EditorCommandError, editor_command
from workbench.tui.terminal.external_programs import run_external


class SourceActions(WorkbenchScreen):
    """A screen that names places in files of this folder."""

    def _source_root(self) -> Path:
        """The folder whose files the runs of this folder's pipeline get."""
        launcher = self.workbench.launcher
        path = launcher.path if launcher is not None and launcher.path.is_file() else None
        return tree_root(path, Path.cwd())

    def _edit(self, source: SourceLocation) -> None:
        try:
            command = editor_command(os.environ, source.path, source.line)
        except EditorCommandError as error:
            self.notify(sanitize_label(str(error), 300), severity="warning", markup=False)
            return
        run_external(self.app, command)
