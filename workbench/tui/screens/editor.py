"""The pipeline's text, what is wrong with it, and its graph, all as one types. What is on the screen can be run."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Footer, Static, TextArea

from controller.pipeline.diagnostics import Diagnostic
from workbench.client.models import Step
from workbench.pipeline_file.completion import complete
from workbench.pipeline_file.document import ChangedOnDiskError, Document, DocumentError, OpenedDocument, open_document
from workbench.pipeline_file.drafts import DraftError, Drafts, drafts_folder
from workbench.pipeline_file.load import lint_pipeline
from workbench.pipeline_file.preview import preview_steps
from workbench.session.view_state import Layout
from workbench.text.sanitize import sanitize_label
from workbench.tui.base_app import key_label
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.screens.dialogs import ConfirmDialog
from workbench.tui.theme import palette
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.editor.completion_list import CompletionPopup
from workbench.tui.widgets.editor.problem_list import ProblemList
from workbench.tui.widgets.editor.yaml_editor import YamlEditor
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.list_view import ListView

_CHECK_DELAY = 0.12
"""Seconds without a keystroke after which the text is checked."""
_DRAFT_DELAY = 0.8
"""Seconds after the first change that is not on disk, at which it is kept there."""
_DISK_POLL_SECONDS = 1.0
"""Seconds between two looks at the file on disk."""


class EditorScreen(WorkbenchScreen):
    """One file. Unsaved text outlives the screen, the workbench and a crash, as a draft."""

    CSS_PATH = "editor.tcss"
    STATE_KEY = "editor"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual says so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "Run", id="editor.run", tooltip="Run what is on the screen, saved or not"),
        Binding("ctrl+s", "save", "Save", id="editor.save", tooltip="Save the file"),
        Binding("f8", "problem(1)", "Next problem", id="editor.next-problem", tooltip="To the next problem"),
        Binding("shift+f8", "problem(-1)", "Previous problem", show=False, id="editor.previous-problem",
                tooltip="To the problem before"),
        Binding("f2", "graph", "Graph", id="editor.graph", tooltip="To the graph and back"),
        Binding("f4", "external", "$EDITOR", show=False, id="editor.external", tooltip="Edit the text in $EDITOR"),
        Binding("f5", "reload", "Reload", show=False, id="editor.reload",
                tooltip="Take the file as it is on disk (asks first when there is unsaved text)"),
        Binding("escape", "back", "Back", id="editor.back", tooltip="Back; unsaved text is kept as a draft"),
    ]  # fmt: skip

    def __init__(self, path: Path, drafts: Drafts | None = None) -> None:
        super().__init__()
        self.path = path
        self._drafts = drafts if drafts is not None else Drafts(drafts_folder())
        self._document = Document(path)
        self._problems: tuple[Diagnostic, ...] = ()
        self._check_timer: Timer | None = None
        self._draft_timer: Timer | None = None
        self._text: str | None = None
        """What is in the editor; the last word when its widget is gone. None until a file is open."""

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield Static(id="editor-heading", markup=False)
        yield Static(id="editor-notice", markup=False)
        with Horizontal(id="editor-body"):
            yield YamlEditor(lambda text, line, column: complete(text, line, column, _schema()), id="editor")
            yield DagView(id="editor-dag")
        yield ProblemList(id="editor-problems")
        yield CompletionPopup(id="editor-choices")
        yield Footer()

    def on_mount(self) -> None:
        super().on_mount()
        self.show_breadcrumbs("edit", str(self.path))
        self._open()
        self._restore_layout()
        self.set_interval(_DISK_POLL_SECONDS, self._check_disk)

    @property
    def editor(self) -> YamlEditor:
        return self.query_one("#editor", YamlEditor)

    @property
    def current_file(self) -> str | None:
        return str(self.path.absolute())

    def layout_state(self) -> Layout:
        row, column = self.editor.cursor_location
        return {"file": str(self.path.absolute()), "row": row, "column": column, "graph": self.has_class("-graph")}

    def _restore_layout(self) -> None:
        layout = self.workbench.saved_layout(self)
        self.set_class(layout.get("graph") is True, "-graph")
        row, column = layout.get("row"), layout.get("column")
        if layout.get("file") == self.current_file and isinstance(row, int) and isinstance(column, int):
            self.editor.move_cursor(self.editor.clamp_visitable((row, column)), center=True)

    @property
    def modified(self) -> bool:
        """Whether the text is another than what was read or saved last."""
        return self._text != self._document.text

    def _open(self) -> None:
        try:
            opened = open_document(self.path, self._drafts)
        except DocumentError as error:
            self.notify(sanitize_label(str(error), 400), title="Not opened", severity="error", markup=False, timeout=20)
            self.app.call_later(self.app.pop_screen)
            return
        self._show(opened)

    def _show(self, opened: OpenedDocument) -> None:
        self._document = opened.document
        self._text = opened.text
        self.editor.open_text(opened.text)
        self.editor.focus()
        if opened.draft is not None:
            told = (
                f"Unsaved text from before is back. {self._key_label('reload', 'F5')} takes the file as it is on disk."
            )
            self.notify(told, timeout=8, markup=False)
        self._set_notice("The file has changed on disk since this text was begun" if opened.stale else "")
        self._check()

    # -- what the text says

    @on(TextArea.Changed, "#editor")
    def _text_changed(self) -> None:
        self._text = self.editor.text
        self._show_heading()
        if self._check_timer is not None:
            self._check_timer.stop()
        self._check_timer = self.set_timer(_CHECK_DELAY, self._check)
        # Not put off by the next keystroke: who types without a pause loses no more than others.
        if self._draft_timer is None:
            self._draft_timer = self.set_timer(_DRAFT_DELAY, self._save_draft)

    @on(TextArea.SelectionChanged, "#editor")
    def _cursor_moved(self) -> None:
        self._show_heading()

    def _check(self) -> None:
        self._check_text(self.editor.text)

    @work(group="check", exclusive=True, description="check the text")
    async def _check_text(self, text: str) -> None:
        problems, steps = await asyncio.to_thread(_examine, text)
        if not self.query(ProblemList):
            return  # The editor was left meanwhile.
        self._problems = problems
        self.editor.show_problems(problems)
        listed = self.query_one(ProblemList)
        with self.prevent(ListView.CursorMoved):
            listed.show_problems(problems)
        listed.display = bool(problems)
        if steps is not None:
            self.query_one(DagView).show_steps(steps)
        self._show_heading()

    def _show_heading(self) -> None:
        colours = palette(self.app)
        text = Text(" ", no_wrap=True, overflow="ellipsis")
        text.append(sanitize_label(self.path.name, 40), colours.bold)
        state = "new file, not saved" if self._document.text is None else "modified" if self.modified else "saved"
        text.append(f"   {state}", colours.muted if state == "saved" else colours.warning)
        errors = sum(problem.severity == "error" for problem in self._problems)
        if errors:
            text.append(f"   ✗ {errors} error{'s' if errors > 1 else ''}", colours.error)
        here = self.editor.problem_at_cursor()
        if here is not None:
            fix = f": {sanitize_label(here.hint, 200)}" if here.hint else ""
            text.append(f"   {sanitize_label(here.message, 300)}{fix}", colours.plain)
        self.query_one("#editor-heading", Static).update(text)

    @on(ListView.Opened, "#editor-problems")
    def _problem_opened(self, event: ListView.Opened) -> None:
        problem = self.query_one(ProblemList).problem(event.key)
        if problem is not None:
            self._go_to(problem)

    def action_problem(self, step: int) -> None:
        """To the next or the previous problem, around the ends."""
        places = sorted({(problem.line - 1, problem.column - 1) for problem in self._problems})
        if not places:
            self.notify("There are no problems.")
            return
        here = self.editor.cursor_location
        beyond = [place for place in places if (place > here if step > 0 else place < here)]
        row, column = (beyond or places)[0 if step > 0 else -1]
        self.editor.focus()
        self.editor.move_cursor(self.editor.clamp_visitable((row, column)), center=True)

    def _go_to(self, problem: Diagnostic) -> None:
        self.editor.focus()
        place = (max(problem.line - 1, 0), max(problem.column - 1, 0))
        self.editor.move_cursor(self.editor.clamp_visitable(place), center=True)

    @on(DagView.Opened)
    @on(DagView.Selected)
    def _step_selected(self, event: DagView.Opened | DagView.Selected) -> None:
        name = event.name.split(" (", 1)[0]
        for row in range(self.editor.document.line_count):
            words = self.editor.document.get_line(row).replace("'", "").replace('"', "").split()
            if words[-2:] == ["name:", name]:
                self.editor.move_cursor((row, 0), center=True)
                break
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
        offered = self.query_one(CompletionPopup)
        column = event.editor.cursor_location[1]
        cursor = event.editor.cursor_screen_offset - (max(column - event.completions.start, 0), 0)
        offered.show_completions(event.completions, cursor, self.size)

    @on(YamlEditor.CompletionNavigated)
    def _completion_navigated(self, event: YamlEditor.CompletionNavigated) -> None:
        offered = self.query_one(CompletionPopup)
        if event.step:
            offered.action_move(event.step)
        elif offered.selected is not None:
            event.editor.accept_completion(offered.selected.insert)

    # -- the file

    def action_save(self) -> None:
        self._save(overwrite=False)

    def _save(self, *, overwrite: bool) -> None:
        try:
            self._document.save(self.editor.text, overwrite=overwrite)
        except ChangedOnDiskError:
            self._confirm_overwrite()
            return
        except DocumentError as error:
            self.save()
            self.notify(sanitize_label(str(error), 400), title="Not saved", severity="error", markup=False, timeout=15)
            return
        self._drafts.delete(self.path)
        self._set_notice("")
        self._show_heading()
        self.workbench.pipeline_saved(self.path)
        self.notify(f"Saved {sanitize_label(str(self.path), 120)}", markup=False, timeout=2)

    @work(group="ask", exclusive=True, description="ask before a file is overwritten")
    async def _confirm_overwrite(self) -> None:
        detail = "Somebody else has written the file since it was opened here. Saving would replace that."
        if await self.app.push_screen_wait(ConfirmDialog(f"Overwrite {self.path.name}?", detail, "Overwrite")):
            self._save(overwrite=True)

    def action_reload(self) -> None:
        if self.modified and self._document.text is not None:
            self._confirm_reload()
        else:
            self._reload()

    @work(group="ask", exclusive=True, description="ask before unsaved text is given up")
    async def _confirm_reload(self) -> None:
        detail = "The unsaved text in the editor is given up."
        if await self.app.push_screen_wait(ConfirmDialog(f"Reload {self.path.name}?", detail, "Reload")):
            self._reload()

    def _reload(self) -> None:
        try:
            self._document.reload()
        except DocumentError as error:
            self.notify(sanitize_label(str(error), 400), severity="error", markup=False, timeout=15)
            return
        if self._document.text is not None:
            place = self.editor.cursor_location
            self._text = self._document.text
            self.editor.open_text(self._text)
            self.editor.move_cursor(self.editor.clamp_visitable(place))
        self._drafts.delete(self.path)
        self._set_notice("")
        self._check()

    def _check_disk(self) -> None:
        try:
            if not self._document.changed_on_disk():
                return
        except DocumentError as error:
            self._set_notice(str(error))
            return
        if self.modified:
            takes, keeps = self._key_label("reload", "F5"), self._key_label("save", "Ctrl+S")
            self._set_notice(f"The file has changed on disk. {takes} takes it, {keeps} keeps yours (asks)")
        else:
            self._reload()
            self.notify(f"{sanitize_label(self.path.name, 60)} has changed on disk and is loaded again.", markup=False)

    def _key_label(self, action: str, usual: str) -> str:
        return key_label(self.app, f"editor.{action}", usual)

    def _set_notice(self, text: str) -> None:
        notice = self.query_one("#editor-notice", Static)
        notice.display = bool(text)
        notice.update(Text(f" ⚠ {sanitize_label(text, 300)}"))

    def _save_draft(self) -> None:
        self._draft_timer = None
        self.save()

    def save(self) -> None:
        """Keep unsaved text on disk; forget the draft of what is saved."""
        try:
            if self._text is None:
                return
            if self.modified and self._text.strip():
                self._drafts.save(self.path, self._text, self._document.base)
            else:
                self._drafts.delete(self.path)
        except (DraftError, OSError) as error:
            self.notify(sanitize_label(str(error), 300), title="Draft", severity="warning", markup=False)

    def on_unmount(self) -> None:
        self.save()

    # -- leaving, running, another editor

    def action_back(self) -> None:
        if self.modified and self._document.text is not None:
            self.notify("The unsaved text is kept as a draft.", timeout=4)
        self.app.pop_screen()

    def action_run(self) -> None:
        self.save()
        self.workbench.launch_text(self.path, self.editor.text)

    def action_external(self) -> None:
        """Hand the terminal to $EDITOR with the text; what comes back is one edit that can be undone."""
        command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        self.save()
        try:
            with self.app.suspend():
                text = _run_editor(shlex.split(command), self.editor.text, self.path.name)
        except SuspendNotSupported:
            self.notify("This terminal can't be handed over to another program.", severity="warning")
            return
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.notify(sanitize_label(f"{command}: {error}", 300), title="$EDITOR", severity="error", markup=False)
            return
        if text != self.editor.text:
            end = self.editor.document.end
            self.editor.replace(text, (0, 0), end, maintain_selection_offset=False)


def can_be_edited(path: Path) -> bool:
    """Whether there is something to come back to: the file, or unsaved text of one that was never there."""
    return path.is_file() or (path.parent.is_dir() and Drafts(drafts_folder()).find(path) is not None)


def _examine(text: str) -> tuple[tuple[Diagnostic, ...], tuple[Step, ...] | None]:
    return lint_pipeline(text).problems, preview_steps(text)


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    from controller.pipeline.lint import schema

    return schema()


def _run_editor(command: list[str], text: str, name: str) -> str:
    """What an editor makes of a text. Raises OSError, SubprocessError, ValueError (what it left is no text)."""
    with tempfile.TemporaryDirectory(prefix="c8s-") as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8")
        subprocess.run([*command, str(file)], check=True)
        return file.read_text(encoding="utf-8").replace("\r\n", "\n")
