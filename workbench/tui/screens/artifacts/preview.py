"""Shows an artifact: text, JSON and Markdown, images as characters, archives as a list."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from controller.worker import MEBIBYTE, LimitedWorker, WorkLimitError, WorkLimits
from workbench.client.errors import ClientError
from workbench.client.models import Artifact
from workbench.logs.log_file import LogFile, LogFileError
from workbench.logs.save import SaveError
from workbench.preview import Preview, render_preview
from workbench.text.format import format_size
from workbench.text.sanitize import sanitize_label
from workbench.tui.keys import key_label
from workbench.tui.screens.artifacts.actions import ArtifactActions
from workbench.tui.screens.artifacts.artifact_list import step_names
from workbench.tui.theme import palette
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.log.heading import match_text
from workbench.tui.widgets.log.prompt import LogPrompt
from workbench.tui.widgets.log.searchable import SearchableLog
from workbench.tui.widgets.log.section_view import SectionLogView
from workbench.tui.widgets.log.view import LogView

_MAX_BYTES = 64 * MEBIBYTE
"""Larger artifacts are not downloaded to be shown."""
_LIMITS = WorkLimits(cpu_seconds=10, wall_seconds=60, memory_bytes=512 * MEBIBYTE)


class PreviewPane(SearchableLog):
    """The lines of a preview, which can be searched and filtered like a log."""

    HELP_TITLE: ClassVar[str] = "Preview"

    def compose(self) -> ComposeResult:
        yield Static(classes="log-heading", markup=False)
        yield Static("Loading …", classes="log-empty", markup=False)
        yield SectionLogView()
        yield LogPrompt()

    def on_mount(self) -> None:
        self._about = ""
        self.say("Loading …")
        # What is typed before there are lines is for them, too.
        self.view.focus()

    def say(self, text: str) -> None:
        """Show a message in place of lines."""
        empty = self.query_one(".log-empty", Static)
        empty.update(Text(text))
        empty.display = True
        # Not hidden: it would lose the focus.
        self.view.add_class("-empty")

    def show(self, preview: Preview, size: int) -> None:
        """Show a preview, whose lines are in the file that is attached."""
        note = f"   {sanitize_label(preview.note, 300)}" if preview.note is not None else ""
        self._about = f"{sanitize_label(preview.kind, 100)}, {format_size(size)}{note}"
        if not self.view.line_count:
            self.say("Nothing to show." if preview.note is None else sanitize_label(preview.note, 300))
            self.update_status()
            return
        self.query_one(".log-empty", Static).display = False
        self.view.remove_class("-empty")
        self.view.growing = False
        self.view.numbers = preview.numbered
        self.view.log_grew()
        self.view.action_top()
        if self.search.filter is not None:
            self._scan_filter(self.search.filter)
        self.update_status()

    @on(LogView.Changed)
    def update_status(self) -> None:
        colours, text = palette(self.app), Text(" ", no_wrap=True, overflow="ellipsis")
        text.append(self._about, colours.muted)
        if self.search.filter is not None:
            text.append(f"   {len(self.search.filter):,} of {self.view.line_count:,} lines", colours.accent)
        if self.search.matches is not None:
            text.append(f"   {match_text(self.search.matches, self.view.current_line)}", colours.warning)
        self.query_one(".log-heading", Static).update(text)

    def go_to_time(self, text: str) -> None:
        """Files have no times."""


class PreviewScreen(ArtifactActions):
    """One artifact of a run."""

    CSS_PATH = "../details.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "back", "Back", id="preview.back", tooltip="Go back to the artifacts"),
        Binding("o", "look", "Open with", id="preview.look", tooltip="Open the file with the desktop or a pager"),
        Binding("ctrl+s", "save", "Save", id="preview.save", tooltip="Save the file in the downloads folder"),
    ]

    def __init__(self, run: str, artifact: Artifact) -> None:
        super().__init__()
        self._run_name, self._artifact = run, artifact
        self._lines = LogFile()

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield PreviewPane(id="preview-pane")
        yield KeyFooter()

    def on_mount(self) -> None:
        run = self.workbench.feed.runs.get(self._run_name)
        step = step_names(run).get(self._artifact.step, self._artifact.step)
        self.show_breadcrumbs("runs", self._run_name, step, self._artifact.path)
        pane = self.query_one(PreviewPane)
        pane.attach(self._lines)
        pane.view.follow = False
        self._load()

    def on_unmount(self) -> None:
        self._lines.close()

    @property
    def current_run(self) -> str | None:
        return self._run_name

    @work(group="preview", exclusive=True, description="show an artifact")
    async def _load(self) -> None:
        with self.keys_wait_for_list(loaded=False):
            await self._fill(self.query_one(PreviewPane), self._artifact.size)

    async def _fill(self, pane: PreviewPane, size: int) -> None:
        save = key_label(self.app, "preview.save", "ctrl+s")
        if size > _MAX_BYTES:
            pane.say(f"{format_size(size)} are too much to be shown here; {save} saves the file.")
            return
        try:
            copy = await self.fetch_copy(self._run_name, self._artifact)
            if copy is None:
                pane.say("There is no connection to the controller.")
                return
            preview = await self._render_copy(copy)
            self._lines.append(preview.lines)
        except WorkLimitError as error:
            pane.say(f"It can't be shown: {error}. {save} saves the file.")
        except (ClientError, SaveError, LogFileError, OSError) as error:
            pane.say(f"It can't be shown: {sanitize_label(str(error), 300)}")
        else:
            pane.show(preview, size)

    async def _render_copy(self, copy: Path) -> Preview:
        """Render it in a process with limits, and delete the copy. Raises WorkLimitError, OSError."""
        region = self.query_one(PreviewPane).size
        coloured = not (self.workbench.ascii_only or self.app.no_color)
        try:
            return await LimitedWorker(_LIMITS, quiet=True).run(
                render_preview, str(copy), self._artifact.path, max(region.width - 2, 8), max(region.height - 1, 4),
                coloured,
            )  # fmt: skip
        finally:
            copy.unlink(missing_ok=True)

    def action_back(self) -> None:
        if not self.query_one(PreviewPane).close_prompt():
            self.app.pop_screen()

    def action_look(self) -> None:
        self.open_artifact(self._run_name, self._artifact)

    def action_save(self) -> None:
        self.save_artifact(self._run_name, self._artifact)
