"""The editor screen: the text of a pipeline beside its graph, its problems below, all updated while typing."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Static, TextArea

from workbench.pipeline_file.document import ChangedOnDiskError, DocumentError
from workbench.pipeline_file.drafts import DraftError, Drafts
from workbench.session.view_state import Layout
from workbench.text.format import format_path
from workbench.text.sanitize import sanitize_label
from workbench.tui.keys import key_label
from workbench.tui.screens.dialogs import ConfirmDialog
from workbench.tui.screens.editor_find import EditorFind
from workbench.tui.services.editor import EditorController, Location, check_text, complete_pipeline, find_step
from workbench.tui.terminal.external_programs import cannot_suspend, edit_text
from workbench.tui.theme import palette
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.editor.completion_list import CompletionPopup
from workbench.tui.widgets.editor.find_bar import FindBar
from workbench.tui.widgets.editor.problem_list import ProblemList
from workbench.tui.widgets.editor.yaml_editor import YamlEditor
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.list_view import ListView

_CHECK_DELAY = 0.12
"""Seconds without a keystroke after which the text is checked."""
_DRAFT_DELAY = 0.8
"""Seconds from the first unsaved change until it is saved as a draft."""
_DISK_POLL_SECONDS = 2.0
"""Seconds between two checks whether the file has changed on disk."""


class EditorScreen(EditorFind):
    """Edits one file. `EditorController` holds its state; this screen connects it to the widgets."""

    CSS_PATH = "editor.tcss"
    STATE_KEY = "editor"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual says so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "Run", id="editor.run", tooltip="Run the text in the editor, saved or not"),
        Binding("ctrl+s", "save", "Save", id="editor.save", tooltip="Save the file"),
        Binding("f8", "problem(1)", "Next problem", id="editor.next-problem", tooltip="Go to the next problem"),
        Binding("shift+f8", "problem(-1)", "Previous problem", show=False, id="editor.previous-problem",
                tooltip="Go to the previous problem"),
        Binding("f2", "graph", "Graph", id="editor.graph", tooltip="Go to the graph, or back to the text"),
        Binding("f4", "external", "$EDITOR", show=False, id="editor.external", tooltip="Edit the text in $EDITOR"),
        Binding("f5", "reload", "Reload", show=False, id="editor.reload",
                tooltip="Reload the file from disk (asks first when there is unsaved text)"),
        Binding("escape", "back", "Back", id="editor.back", tooltip="Go back; unsaved text is kept as a draft"),
    ]  # fmt: skip

    def __init__(self, path: Path, drafts: Drafts | None = None) -> None:
        super().__init__()
        self.controller = EditorController(path, drafts)
        self._check_timer: Timer | None = None
        self._draft_timer: Timer | None = None
        self._graph_stale = False
        """Whether the text can't be read, so that the graph is that of an earlier one."""

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield Static(id="editor-heading", markup=False)
        yield Static(id="editor-notice", markup=False)
        with Horizontal(id="editor-body"):
            yield YamlEditor(complete_pipeline, id="editor")
            yield DagView(id="editor-dag")
        yield FindBar(id="editor-find")
        yield ProblemList(id="editor-problems")
        yield CompletionPopup(id="editor-choices")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.show_breadcrumbs("edit", format_path(self.path, os.environ.get("HOME")))
        self._open()
        self._restore_layout()
        self.set_interval(_DISK_POLL_SECONDS, self._check_disk)

    @property
    def is_open(self) -> bool:
        """Whether the file could be read."""
        return self.controller.text is not None

    def on_screen_resume(self) -> None:
        if self.is_open:
            self._check_disk()

    @property
    def path(self) -> Path:
        return self.controller.path

    @property
    def current_file(self) -> str | None:
        return str(self.path.absolute())

    def layout_state(self) -> Layout:
        row, column = self.editor.cursor_location
        return {"file": str(self.path.absolute()), "row": row, "column": column, "graph": self.has_class("-graph")}

    def _restore_layout(self) -> None:
        layout = self.workbench.saved_layout(self.STATE_KEY)
        self.set_class(layout.get("graph") is True, "-graph")
        row, column = layout.get("row"), layout.get("column")
        if layout.get("file") == self.current_file and isinstance(row, int) and isinstance(column, int):
            self._move_cursor((row, column))

    def _move_cursor(self, location: Location) -> None:
        self.editor.move_cursor(self.editor.clamp_visitable(location), center=True)

    def _open(self) -> None:
        try:
            opened = self.controller.open()
        except DocumentError as error:
            message = sanitize_label(str(error), 400)
            self.notify(message, title="Not opened", severity="error", markup=False, timeout=20)
            self.app.call_later(self.app.pop_screen)
            return
        self.editor.open_text(opened.text)
        self.editor.focus()
        if opened.draft is not None:
            reload = self._key_label("reload", "F5")
            self.notify(f"Unsaved text restored. {reload} reloads the file from disk.", timeout=8, markup=False)
        self._set_notice("The file has changed on disk since this text was started" if opened.stale else "")
        self._check()

    # -- checking the text

    @on(TextArea.Changed, "#editor")
    def _text_changed(self) -> None:
        self.controller.text = self.editor.text
        self._show_heading()
        if self._check_timer is not None:
            self._check_timer.stop()
        self._check_timer = self.set_timer(_CHECK_DELAY, self._check)
        # Not restarted by the next keystroke: typing without a pause must not delay the draft.
        if self._draft_timer is None:
            self._draft_timer = self.set_timer(_DRAFT_DELAY, self._save_draft)

    @on(TextArea.SelectionChanged, "#editor")
    def _cursor_moved(self) -> None:
        self._show_heading()

    def _check(self) -> None:
        self._check_text(self.editor.text)

    @work(group="check", exclusive=True, description="check the text")
    async def _check_text(self, text: str) -> None:
        checked = await asyncio.to_thread(check_text, text)
        if not self.query(ProblemList):
            return  # The screen was closed meanwhile.
        self.controller.problems = checked.problems
        self.editor.show_problems(checked.problems)
        problem_list = self.query_one(ProblemList)
        with self.prevent(ListView.CursorMoved):
            problem_list.show_problems(checked.problems)
        problem_list.display = bool(checked.problems)
        if checked.steps is not None:
            self.query_one(DagView).show_steps(checked.steps)
        self._graph_stale = checked.steps is None and bool(text.strip())
        self._show_heading()

    def _show_heading(self) -> None:
        colours, status = palette(self.app), self.controller.status
        text = Text(" ", no_wrap=True, overflow="ellipsis")
        text.append(sanitize_label(self.path.name, 40), colours.bold)
        text.append(f"   {status}", colours.muted if status == "saved" else colours.warning)
        errors = sum(problem.severity == "error" for problem in self.controller.problems)
        if errors:
            text.append(f"   ✗ {errors} error{'s' if errors > 1 else ''}", colours.error)
        if self._graph_stale:
            text.append("   graph of the last readable text", colours.warning)
        problem = self.editor.problem_at_cursor()
        if problem is not None:
            hint = f": {sanitize_label(problem.hint, 200)}" if problem.hint else ""
            text.append(f"   {sanitize_label(problem.message, 300)}{hint}", colours.plain)
        self.query_one("#editor-heading", Static).update(text)

    @on(ListView.Opened, "#editor-problems")
    def _problem_opened(self, event: ListView.Opened) -> None:
        problem = self.query_one(ProblemList).problem(event.key)
        if problem is not None:
            self.editor.focus()
            self._move_cursor((max(problem.line - 1, 0), max(problem.column - 1, 0)))

    def action_problem(self, direction: int) -> None:
        """Go to the next (1) or the previous (-1) problem."""
        location = self.controller.next_problem(self.editor.cursor_location, direction)
        if location is None:
            self.notify("There are no problems.")
            return
        self.editor.focus()
        self._move_cursor(location)

    @on(DagView.Opened)
    @on(DagView.Selected)
    def _step_selected(self, event: DagView.Opened | DagView.Selected) -> None:
        row = find_step(self.editor.document.lines, event.name)
        if row is not None:
            self.editor.move_cursor((row, 0), center=True)
        if isinstance(event, DagView.Opened):
            self.editor.focus()

    def action_graph(self) -> None:
        graph = self.query_one(DagView)
        if self.has_class("-narrow"):
            self.toggle_class("-graph")
        (self.editor if graph.has_focus or not graph.display else graph).focus()

    # -- completion

    @on(YamlEditor.CompletionsChanged)
    def _completions_changed(self, event: YamlEditor.CompletionsChanged) -> None:
        popup = self.query_one(CompletionPopup)
        column = event.editor.cursor_location[1]
        cursor = event.editor.cursor_screen_offset - (max(column - event.completions.start, 0), 0)
        popup.show_completions(event.completions, cursor, self.size)

    @on(YamlEditor.CompletionNavigated)
    def _completion_navigated(self, event: YamlEditor.CompletionNavigated) -> None:
        popup = self.query_one(CompletionPopup)
        if event.step:
            popup.action_move(event.step)
        elif popup.selected is not None:
            event.editor.accept_completion(popup.selected.insert)

    # -- saving and reloading

    def action_save(self) -> None:
        self._save(overwrite=False)

    def _save(self, *, overwrite: bool) -> None:
        try:
            self.controller.save(self.editor.text, overwrite=overwrite)
        except ChangedOnDiskError:
            self._confirm_overwrite()
            return
        except DocumentError as error:
            self.save()
            message = sanitize_label(str(error), 400)
            self.notify(message, title="Not saved", severity="error", markup=False, timeout=15)
            return
        self._set_notice("")
        self._show_heading()
        self.workbench.pipeline_saved(self.path)
        self.notify(f"Saved {sanitize_label(str(self.path), 120)}", markup=False, timeout=2)

    @work(group="ask", exclusive=True, description="ask before a file is overwritten")
    async def _confirm_overwrite(self) -> None:
        detail = "Another program has changed the file since it was opened. Saving overwrites that change."
        if await self.app.push_screen_wait(ConfirmDialog(f"Overwrite {self.path.name}?", detail, "Overwrite")):
            self._save(overwrite=True)

    def action_reload(self) -> None:
        if self.controller.modified and self.controller.exists:
            self._confirm_reload()
        else:
            self._reload()

    @work(group="ask", exclusive=True, description="ask before unsaved text is discarded")
    async def _confirm_reload(self) -> None:
        detail = "The unsaved text in the editor is discarded."
        if await self.app.push_screen_wait(ConfirmDialog(f"Reload {self.path.name}?", detail, "Reload")):
            self._reload()

    def _reload(self) -> None:
        try:
            text = self.controller.reload()
        except DocumentError as error:
            self.notify(sanitize_label(str(error), 400), severity="error", markup=False, timeout=15)
            return
        if text is not None:
            cursor = self.editor.cursor_location
            self.editor.replace_text(text)
            self.editor.move_cursor(self.editor.clamp_visitable(cursor))
        self._set_notice("")
        self._check()

    def _check_disk(self) -> None:
        if not self.is_current:
            return
        try:
            if not self.controller.changed_on_disk():
                return
        except DocumentError as error:
            self._set_notice(str(error))
            return
        if self.controller.modified:
            reload, save = self._key_label("reload", "F5"), self._key_label("save", "Ctrl+S")
            self._set_notice(f"The file has changed on disk. {reload} reloads it, {save} overwrites it (asks first)")
        else:
            self._reload()
            self.notify(f"{sanitize_label(self.path.name, 60)} has changed on disk; reloaded.", markup=False)

    def _key_label(self, action: str, default: str) -> str:
        return key_label(self.app, f"editor.{action}", default)

    def _set_notice(self, text: str) -> None:
        notice = self.query_one("#editor-notice", Static)
        notice.display = bool(text)
        self.set_class(bool(text), "-noticed")
        notice.update(Text(f" ⚠ {sanitize_label(text, 300)}"))

    def _save_draft(self) -> None:
        self._draft_timer = None
        self.save()

    def save(self) -> None:
        """Save unsaved text as a draft."""
        try:
            self.controller.save_draft()
        except (DraftError, OSError) as error:
            self.notify(sanitize_label(str(error), 300), title="Draft", severity="warning", markup=False)

    def on_unmount(self) -> None:
        self.save()

    # -- leaving, running, the external editor

    def action_back(self) -> None:
        self.save()
        if self.controller.modified and self.controller.exists:
            self.notify("The unsaved text is kept as a draft.", timeout=4)
        self.app.pop_screen()

    def action_run(self) -> None:
        self.save()
        self.workbench.launch_text(self.path, self.editor.text)

    def action_external(self) -> None:
        """Open the text in $EDITOR; its result is one edit, which can be undone."""
        command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        self.save()
        try:
            with self.app.suspend():
                text = edit_text(shlex.split(command), self.editor.text, self.path.name)
        except SuspendNotSupported:
            self.notify(cannot_suspend(), severity="warning")
            return
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.notify(sanitize_label(f"{command}: {error}", 300), title="$EDITOR", severity="error", markup=False)
            return
        if text != self.editor.text:
            self.editor.replace(text, (0, 0), self.editor.document.end, maintain_selection_offset=False)
