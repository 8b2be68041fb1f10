"""The first screen: the live list of runs, and a preview of the selected one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from workbench.client.errors import ClientError
from workbench.client.models import Run, SavedPipeline
from workbench.client.statistics import PipelineTrend
from workbench.report.trends import trend_text
from workbench.runs.footer import footer_actions
from workbench.runs.run_filter import ORDERS, RunFilter
from workbench.session.view_state import Layout
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import contained
from workbench.tui.keys import key_label
from workbench.tui.screens.run.actions import RunActions
from workbench.tui.services.interfaces import ControllerApi, LaunchError, RunLauncher
from workbench.tui.services.last_lines import Looks, last_lines, most_relevant_step
from workbench.tui.services.launcher import SavedPipelineLauncher
from workbench.tui.theme import palette, phase_sign
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.pipelines_list import FOLDER_KEY, PipelinesList
from workbench.tui.widgets.runs_table import RunsHeading, RunsTable

_PRELOAD_DELAY = 0.3
"""Seconds after the first paint until the modules of the next screen are imported."""
_PREVIEW_DELAY = 0.1
"""Seconds that the cursor stays on a run before its log is requested."""
_SPARKLINE = 20
"""Runs in the line of durations."""
_TRENDS_DELAY = 2.0


class RunsScreen(RunActions):
    """Enter opens a run."""

    CSS_PATH = "runs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash",
            "filter",
            "Filter",
            id="runs.filter",
            tooltip="Show only some runs: words, status:failed, branch:main, age<1h; ! excludes",
        ),
        Binding("O", "order", "Order", show=False, id="runs.order", tooltip="Order by newest, oldest, longest, name"),
        Binding("a", "only_pipeline", "Only this pipeline", show=False, id="runs.only",
                tooltip="Show only the runs of this folder's pipeline, or all again"),
        Binding("p", "pipelines", "Pipelines", show=False, id="runs.pipelines",
                tooltip="Go to the pipelines of this folder and the cluster, or back"),
        Binding("v", "preview", "Preview", show=False, id="runs.preview",
                tooltip="Show or hide the preview of the selected run"),
        Binding("escape", "leave_filter", "Show all", show=False, id="runs.all", tooltip="Remove the filter"),
    ]  # fmt: skip
    STATE_KEY = "runs"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - Textual says so
    VERTICAL_BREAKPOINTS = [(0, "-low"), (28, "-high")]  # noqa: RUF012 - Textual says so

    def __init__(self) -> None:
        super().__init__()
        self._filter = RunFilter()
        self._preview_enabled = True
        self._trends: dict[str, PipelineTrend] = {}
        self._ended_runs: int | None = None
        """How many runs had ended when the statistics were read."""
        self._restored_cursor: str | None = None
        """The run to move the cursor to once the runs are loaded."""
        self._previewed: tuple[str, str] | None = None
        self._looks = Looks()
        self._saved_pipelines: tuple[SavedPipeline, ...] | None = None

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        with Horizontal(id="runs-beside"):
            with Vertical(id="runs-list"):
                yield Static(id="runs-hint", markup=False)
                yield RunsHeading(id="runs-heading")
                yield RunsTable(self.workbench.now, id="runs")
                yield Static(id="runs-empty", markup=False)
            with Vertical(id="pipelines-pane"):
                yield Static("PIPELINES", id="pipelines-heading", markup=False)
                yield PipelinesList(id="pipelines")
        yield Input(id="runs-filter", placeholder="status:failed branch:main age<1h duration>2m, words; ! excludes")
        yield Static(id="runs-filter-problem", markup=False)
        with Vertical(id="preview"):
            yield Static(id="preview-heading", markup=False)
            preview = DagView(id="preview-dag")
            preview.can_focus = False
            yield preview
            yield Static(id="preview-lines", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        self._restore_layout(self.workbench.saved_layout(self.STATE_KEY))
        # Neither the first paint nor the opening of the first run waits for this import.
        self.set_timer(_PRELOAD_DELAY, partial(import_module, "workbench.tui.screens.run.screen"))

    def layout_state(self) -> Layout:
        return {
            "cursor": self._restored_cursor or self.query_one(RunsTable).cursor or "",
            "filter": self._filter.text,
            "order": self._filter.order,
            "preview": self._preview_enabled,
            "pipelines": self.has_class("-pipelines"),
        }

    def _restore_layout(self, layout: Layout) -> None:
        text, order = layout.get("filter"), layout.get("order")
        self._filter = RunFilter(
            text if isinstance(text, str) else "", next((known for known in ORDERS if known == order), "newest")
        )
        self._preview_enabled = layout.get("preview") is not False
        self.set_class(layout.get("pipelines") is True, "-pipelines")
        cursor = layout.get("cursor")
        self._restored_cursor = cursor if isinstance(cursor, str) and cursor else None
        if self._filter.text:
            field = self.query_one("#runs-filter", Input)
            with self.prevent(Input.Changed):
                field.value = self._filter.text
            self._show_field(shown=True)

    @property
    def current_run(self) -> str | None:
        return self.query_one(RunsTable).cursor

    @property
    def listed_run(self) -> str | None:
        return self.current_run if self.query_one(RunsTable).has_focus else None

    def runs_changed(self) -> None:
        runs = self.workbench.feed.runs
        table, empty = self.query_one(RunsTable), self.query_one("#runs-empty", Static)
        table.show_runs(runs, self._filter)
        self.query_one(RunsHeading).longest_name = table.longest_name
        wanted = self._restored_cursor
        if wanted is not None and runs.loaded and (table.go_to(wanted) or runs.get(wanted) is None):
            self._restored_cursor = None
        self._show_counts()
        problem = self.query_one("#runs-filter-problem", Static)
        problem.display = bool(self._filter.problems)
        problem.update(Text(sanitize_label("; ".join(self._filter.problems), 400), palette(self.app).warning))
        none = not len(runs)
        unmatched = not none and not table.count
        table.display = self.query_one(RunsHeading).display = not none and not unmatched
        empty.display = none or unmatched
        if none or unmatched:
            empty.update(self._unmatched_text() if unmatched else self._empty_text())
        elif self.focused is None:
            table.focus()
        hint = self.query_one("#runs-hint", Static)
        # A workbench that is read-only does not look at the folder.
        hint.display = self.workbench.launcher is None and not none and not self.workbench.read_only
        hint.update(self._no_pipeline_hint())
        self._show_pipelines()
        self._update_preview()
        self._load_trends_if_ended()

    def _no_pipeline_hint(self) -> Text:
        """Whose runs are listed in a folder without a pipeline."""
        colours, edit = palette(self.app), key_label(self.app, "app.edit", "e")
        text = Text("There is no .c8s.yaml in this folder: these are the runs of all folders. ", colours.muted)
        return text.append(edit, colours.highlight).append(" creates one.", colours.muted)

    def _show_pipelines(self) -> None:
        launcher = self.workbench.launcher
        self.query_one(PipelinesList).show(
            launcher.path.name if launcher is not None else None, self._saved_pipelines or ()
        )
        self.query_one("#pipelines-pane").set_class(not self.query_one(PipelinesList).count, "-empty")
        if self._saved_pipelines is None and self.workbench.feed.controller is not None:
            self._saved_pipelines = ()
            self._fetch_pipelines(self.workbench.feed.controller)

    def on_screen_resume(self) -> None:
        self._saved_pipelines = None
        super().on_screen_resume()

    @work(group="pipelines", exclusive=True, description="ask for the kept pipelines")
    async def _fetch_pipelines(self, controller: ControllerApi) -> None:
        try:
            self._saved_pipelines = await controller.pipelines()
        except ClientError as error:
            # Reported once; the list is fetched again when this screen is resumed.
            self.notify(sanitize_label(str(error), 300), title="Pipelines", severity="warning", markup=False)
        self.runs_changed()

    def action_pipelines(self) -> None:
        pipelines = self.query_one(PipelinesList)
        if self.has_class("-narrow"):
            self.toggle_class("-pipelines")
        if not pipelines.count:
            self.notify("There is no pipeline in this folder or in the cluster.")
        (self.query_one(RunsTable) if pipelines.has_focus else pipelines).focus()

    def _show_counts(self) -> None:
        runs, table = self.workbench.feed.runs, self.query_one(RunsTable)
        filtered = bool(self._filter.text) or self._filter.pipeline is not None
        shown = f"{table.count} of {len(runs)}" if filtered else f"{len(runs)}"
        only = f"only {self._filter.pipeline}" if self._filter.pipeline is not None else ""
        how = ", ".join(part for part in (only, self._filter.text, self._filter.order) if part not in ("", "newest"))
        self.show_breadcrumbs(f"runs ({shown})" if runs.loaded else "runs", *((how,) if how else ()))

    def action_filter(self) -> None:
        self._show_field(shown=True)
        self.query_one("#runs-filter", Input).focus()

    def _show_field(self, *, shown: bool) -> None:
        self.query_one("#runs-filter", Input).display = shown
        # Notifications must not cover it.
        self.set_class(shown, "-filtering")
        self.fit_footer()

    def action_leave_filter(self) -> None:
        self.query_one("#runs-filter", Input).value = ""
        self._show_field(shown=False)
        self._filter = RunFilter(order=self._filter.order)
        self.runs_changed()
        self.query_one(RunsTable).focus()

    def returned_from(self, run: str | None) -> None:
        self._restored_cursor = run

    def connection_changed(self) -> None:
        self.runs_changed()

    def action_only_pipeline(self) -> None:
        if self._filter.pipeline is not None:
            self._filter = replace(self._filter, pipeline=None)
            self.runs_changed()
        elif self.workbench.read_only:
            key = key_label(self.app, "runs.filter", "/")
            self.notify(f"A read-only workbench has no folder; {key} with pipeline:NAME shows one pipeline's runs.")
        elif self.workbench.launcher is None:
            self.notify("There is no .c8s.yaml in this folder; the runs of all folders are shown.")
        else:
            self._show_only(self.workbench.launcher)

    @work(group="only", exclusive=True, description="read the name of the pipeline")
    async def _show_only(self, launcher: RunLauncher) -> None:
        try:
            definition = (await launcher.load()).definition
        except LaunchError as error:
            self.notify(sanitize_label(str(error), 300), severity="warning", markup=False)
            return
        if definition is None:
            self.notify(f"{sanitize_label(launcher.path.name, 60)} has errors.", severity="warning", markup=False)
            return
        self._filter = replace(self._filter, pipeline=str(definition["name"]))
        self.runs_changed()

    def action_preview(self) -> None:
        self._preview_enabled = not self._preview_enabled
        self._update_preview()

    def action_order(self) -> None:
        following = ORDERS[(ORDERS.index(self._filter.order) + 1) % len(ORDERS)]
        self._filter = replace(self._filter, order=following)
        self.runs_changed()

    @on(Input.Changed, "#runs-filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._filter = replace(self._filter, text=event.value)
        self.runs_changed()

    @on(Input.Submitted, "#runs-filter")
    def _filter_submitted(self) -> None:
        self._show_field(shown=bool(self._filter.text))
        self.query_one(RunsTable).focus()

    def clock_ticked(self) -> None:
        if self.query_one(RunsTable).tick() and "age" in self._filter.text.lower():
            self.runs_changed()
        run = self.workbench.feed.runs.get(self.current_run or "")
        if run is not None and not run.ended and self._looks.due():
            self._show_last_lines(run)

    def theme_changed(self) -> None:
        self._previewed = None
        super().theme_changed()

    def fit_footer(self) -> None:
        run = self.workbench.feed.runs.get(self.current_run or "")
        leaving = ("runs.all",) if self.has_class("-filtering") else ()
        self.query_one(KeyFooter).show_actions((*leaving, *footer_actions(run, None)))

    @on(ListView.CursorMoved, "#runs")
    def _update_preview(self) -> None:
        run = self.workbench.feed.runs.get(self.current_run or "")
        self.fit_footer()
        pane = self.query_one("#preview")
        pane.display = self._preview_enabled and run is not None and bool(run.steps)
        if run is not None and self._preview_enabled:
            colours = palette(self.app)
            heading = Text(" ", no_wrap=True)
            heading.append(sanitize_label(run.name, 60), colours.bold)
            heading.append(f"   {sanitize_label(run.message or run.phase, 200)}", colours.muted)
            if (trend := self._trends.get(run.pipeline)) is not None:
                text = trend_text(trend, _SPARKLINE, ascii_only=self.workbench.ascii_only)
                style = colours.warning if trend.slower is not None else colours.muted
                heading.append(f"   {sanitize_label(text, 200)}", style)
            self.query_one("#preview-heading", Static).update(heading)
            preview = self.query_one("#preview-dag", DagView)
            with contained(preview):
                preview.show_run(run)
            if self._previewed != (run.name, run.resource_version):
                if self._previewed is None or self._previewed[0] != run.name:
                    self.query_one("#preview-lines", Static).update("")
                self._previewed = (run.name, run.resource_version)
                self._show_last_lines(run)

    def _load_trends_if_ended(self) -> None:
        ended = sum(run.ended for run in self.workbench.feed.runs.newest)
        if ended != self._ended_runs:
            delay = _TRENDS_DELAY if self._ended_runs is not None else 0.0
            self._ended_runs = ended
            self._load_trends(delay)

    @work(group="trends", exclusive=True, description="read the statistics")
    async def _load_trends(self, delay: float) -> None:
        controller = self.workbench.feed.controller
        if controller is None:
            self._ended_runs = None
            return
        # They are written a moment after the end of a run.
        await asyncio.sleep(delay)
        try:
            found = await controller.list_statistics()
        except ClientError:
            # Durations are shown without marks; another run's end asks again.
            return
        self._trends = {each.name: each for each in found}
        self.query_one(RunsTable).show_medians({each.name: each.median for each in found if each.median is not None})
        self._update_preview()

    @work(group="preview", exclusive=True, description="ask for the last lines")
    async def _show_last_lines(self, run: Run) -> None:
        """Show the last lines of the most relevant step, after the cursor has rested on the run."""
        controller, step = self.workbench.feed.controller, most_relevant_step(run)
        if controller is None or step is None or not self.is_shown or not self._preview_enabled:
            return
        await asyncio.sleep(_PREVIEW_DELAY)
        colours, text = palette(self.app), Text(no_wrap=True, overflow="ellipsis")
        text.append(f" {phase_sign(step.state)} {sanitize_label(step.name, 60)}", colours.phase(step.state))
        try:
            for line in await last_lines(controller, run, step):
                text.append(f"\n   {line[:500]}", colours.plain)
        except ClientError as error:
            text.append(f"\n   {sanitize_label(str(error), 300)}", colours.warning)
        self._looks.found((run.name, text))
        shown = self.query_one("#preview-lines", Static)
        if shown.content != text:
            shown.update(text)

    @on(ListView.Opened, "#pipelines")
    def _run_pipeline(self, event: ListView.Opened) -> None:
        if event.key == FOLDER_KEY:
            self.workbench.action_launch()
        else:
            # It may have been deleted since Enter was pressed.
            saved = self.query_one(PipelinesList).saved.get(event.key)
            if saved is not None:
                self.workbench.launch_with(SavedPipelineLauncher(saved))

    @on(ListView.Opened, "#runs")
    def _run_opened(self, event: ListView.Opened) -> None:
        from workbench.tui.screens.run.screen import RunScreen

        self.app.push_screen(RunScreen(event.key))
        self.workbench.watch_run(event.key)

    def _unmatched_text(self) -> Text:
        colours, key = palette(self.app), key_label(self.app, "runs.all", "esc")
        text = Text("No run matches the filter.\n", colours.bold, justify="center")
        return text.append(key, colours.highlight).append(" clears it.", colours.muted)

    def _empty_text(self) -> Text:
        colours, file = palette(self.app), self.workbench.launcher
        text = Text(justify="center")
        if not self.workbench.feed.runs.loaded:
            lost = self.workbench.feed.connection_error is not None
            return text.append(
                "The runs can't be loaded without a connection." if lost else "Loading runs …", colours.muted
            )
        text.append("No runs yet\n\n", colours.bold)
        if self.workbench.read_only:
            return text
        if file is not None:
            text.append("Press ", colours.muted).append(key_label(self.app, "app.run", "r"), colours.highlight)
            text.append(f" to run {sanitize_label(str(file.path), 200)}\n", colours.plain)
            text.append("on the working tree around it, uncommitted changes included.", colours.muted)
        else:
            text.append("There is no .c8s.yaml here. ", colours.muted)
            text.append(key_label(self.app, "app.edit", "e"), colours.highlight)
            text.append(" writes one from a template;\none that you write elsewhere is noticed.", colours.muted)
        return text
