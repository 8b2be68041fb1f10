"""The first screen: all runs, live, and the graph of the one under the cursor."""

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
from textual.widgets import Footer, Input, Static

from workbench.client.errors import ClientError
from workbench.client.models import KeptPipeline, Run
from workbench.runs.run_filter import ORDERS, RunFilter
from workbench.session.view_state import Layout
from workbench.text.sanitize import label
from workbench.tui.base_app import key_of
from workbench.tui.screens.run_actions import RunActions
from workbench.tui.services.interfaces import Controller
from workbench.tui.services.launcher import KeptLauncher
from workbench.tui.services.preview import last_lines, telling_step
from workbench.tui.theme import palette, sign
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.header import TopBar
from workbench.tui.widgets.list_view import Rows
from workbench.tui.widgets.pipelines_list import HERE, PipelinesList
from workbench.tui.widgets.runs_table import RunsHeading, RunsTable

_IDLE = 0.3
"""Seconds after the first picture until what the next screen needs is loaded."""
_REST = 0.1
"""Seconds that the cursor stays on a run before its log is asked for."""


class RunsScreen(RunActions):
    """Enter opens a run."""

    CSS_PATH = "runs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash",
            "filter",
            "Filter",
            id="runs.filter",
            tooltip="Show the runs with these words; ! before one: without",
        ),
        Binding("o", "order", "Order", show=False, id="runs.order", tooltip="Newest first, oldest, longest, by name"),
        Binding("p", "pipelines", "Pipelines", show=False, id="runs.pipelines",
                tooltip="To the pipelines of this folder and of the cluster, and back"),
        Binding("v", "preview", "Preview", show=False, id="runs.preview",
                tooltip="Show the graph and the last lines of the run under the cursor, or more runs"),
        Binding("escape", "leave_filter", "All", show=False, id="runs.all", tooltip="Show all runs again"),
    ]  # fmt: skip
    REMEMBERED_AS = "runs"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - Textual says so
    VERTICAL_BREAKPOINTS = [(0, "-low"), (28, "-high")]  # noqa: RUF012 - Textual says so

    def __init__(self) -> None:
        super().__init__()
        self._filter = RunFilter()
        self._previews = True
        self._wanted: str | None = None
        """The run that the cursor was on the last time, until the runs are known."""
        self._looked: tuple[str, str] | None = None
        self._kept: tuple[KeptPipeline, ...] | None = None

    def compose(self) -> ComposeResult:
        yield TopBar()
        with Horizontal(id="runs-beside"):
            with Vertical(id="runs-list"):
                yield RunsHeading(id="runs-heading")
                yield RunsTable(self.workbench.now, id="runs")
                yield Static(id="runs-empty", markup=False)
            with Vertical(id="pipelines-pane"):
                yield Static("PIPELINES", id="pipelines-heading", markup=False)
                yield PipelinesList(id="pipelines")
        yield Input(id="runs-filter", placeholder="words of name, branch, commit, event, trigger or phase")
        with Vertical(id="preview"):
            yield Static(id="preview-heading", markup=False)
            preview = DagView(id="preview-dag")
            preview.can_focus = False
            yield preview
            yield Static(id="preview-lines", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        self._as_it_was(self.workbench.layout_of(self))
        # The list is shown without waiting for it, and the first run is opened without waiting for it, too.
        self.set_timer(_IDLE, partial(import_module, "workbench.tui.screens.run"))

    def arrangement(self) -> Layout:
        return {
            "cursor": self._wanted or self.query_one(RunsTable).cursor or "",
            "filter": self._filter.text,
            "order": self._filter.order,
            "preview": self._previews,
            "pipelines": self.has_class("-pipelines"),
        }

    def _as_it_was(self, layout: Layout) -> None:
        text, order = layout.get("filter"), layout.get("order")
        self._filter = RunFilter(
            text if isinstance(text, str) else "", next((known for known in ORDERS if known == order), "newest")
        )
        self._previews = layout.get("preview") is not False
        self.set_class(layout.get("pipelines") is True, "-pipelines")
        cursor = layout.get("cursor")
        self._wanted = cursor if isinstance(cursor, str) and cursor else None
        if self._filter.text:
            field = self.query_one("#runs-filter", Input)
            with self.prevent(Input.Changed):
                field.value = self._filter.text
            field.display = True

    @property
    def run_in_hand(self) -> str | None:
        return self.query_one(RunsTable).cursor

    def runs_changed(self) -> None:
        runs = self.workbench.feed.runs
        table, empty = self.query_one(RunsTable), self.query_one("#runs-empty", Static)
        table.show_runs(runs, self._filter)
        if self._wanted is not None and runs.known:
            table.go_to(self._wanted)
            self._wanted = None
        self._crumbs()
        none = not len(runs)
        table.display = self.query_one(RunsHeading).display = not none
        empty.display = none
        if none:
            empty.update(self._what_to_do())
        elif self.focused is None:
            table.focus()
        self._show_pipelines()
        self._preview()

    def _show_pipelines(self) -> None:
        launcher = self.workbench.launcher
        self.query_one(PipelinesList).show(launcher.path.name if launcher is not None else None, self._kept or ())
        self.query_one("#pipelines-pane").set_class(not self.query_one(PipelinesList).count, "-empty")
        if self._kept is None and self.workbench.feed.controller is not None:
            self._kept = ()
            self._ask_for_pipelines(self.workbench.feed.controller)

    def on_screen_resume(self) -> None:
        self._kept = None
        super().on_screen_resume()

    @work(group="pipelines", exclusive=True, description="ask for the kept pipelines")
    async def _ask_for_pipelines(self, controller: Controller) -> None:
        try:
            self._kept = await controller.pipelines()
        except ClientError as error:
            # A list that can't be had is told once, and asked for again when one comes back to this screen.
            self.notify(label(str(error), 300), title="Pipelines", severity="warning", markup=False)
        self.runs_changed()

    def action_pipelines(self) -> None:
        pipelines = self.query_one(PipelinesList)
        if self.has_class("-narrow"):
            self.toggle_class("-pipelines")
        if not pipelines.count:
            self.notify("There is no pipeline in this folder, and none is kept in the cluster.")
        (self.query_one(RunsTable) if pipelines.has_focus else pipelines).focus()

    def _crumbs(self) -> None:
        runs, table = self.workbench.feed.runs, self.query_one(RunsTable)
        shown = f"{table.count} of {len(runs)}" if self._filter.text else f"{len(runs)}"
        how = ", ".join(part for part in (self._filter.text, self._filter.order) if part not in ("", "newest"))
        self.show_crumbs(f"runs ({shown})" if runs.known else "runs", *((how,) if how else ()))

    def action_filter(self) -> None:
        field = self.query_one("#runs-filter", Input)
        field.display = True
        field.focus()

    def action_leave_filter(self) -> None:
        field = self.query_one("#runs-filter", Input)
        field.value, field.display = "", False
        self._filter = RunFilter()
        self.runs_changed()
        self.query_one(RunsTable).focus()

    def action_preview(self) -> None:
        self._previews = not self._previews
        self._preview()

    def action_order(self) -> None:
        following = ORDERS[(ORDERS.index(self._filter.order) + 1) % len(ORDERS)]
        self._filter = replace(self._filter, order=following)
        self.runs_changed()

    @on(Input.Changed, "#runs-filter")
    def _narrow(self, event: Input.Changed) -> None:
        self._filter = replace(self._filter, text=event.value)
        self.runs_changed()

    @on(Input.Submitted, "#runs-filter")
    def _filtered(self) -> None:
        self.query_one("#runs-filter", Input).display = bool(self._filter.text)
        self.query_one(RunsTable).focus()

    def ticked(self) -> None:
        self.query_one(RunsTable).refresh()
        run = self.workbench.feed.runs.get(self.run_in_hand or "")
        if run is not None and not run.ended:
            self._look(run)

    @on(Rows.Moved, "#runs")
    def _preview(self) -> None:
        run = self.workbench.feed.runs.get(self.run_in_hand or "")
        pane = self.query_one("#preview")
        pane.display = self._previews and run is not None and bool(run.steps)
        if run is not None and self._previews:
            colours = palette(self.app)
            heading = Text(" ", no_wrap=True)
            heading.append(label(run.name, 60), colours.bold)
            heading.append(f"   {label(run.message or run.phase, 200)}", colours.muted)
            self.query_one("#preview-heading", Static).update(heading)
            self.query_one("#preview-dag", DagView).show_run(run)
            if self._looked != (run.name, run.resource_version):
                if self._looked is None or self._looked[0] != run.name:
                    self.query_one("#preview-lines", Static).update("")
                self._looked = (run.name, run.resource_version)
                self._look(run)

    @work(group="preview", exclusive=True, description="ask for the last lines")
    async def _look(self, run: Run) -> None:
        """The last lines of the step that tells most; asked for when the cursor has come to rest."""
        controller, step = self.workbench.feed.controller, telling_step(run)
        if controller is None or step is None or not self.is_current or not self._previews:
            return
        await asyncio.sleep(_REST)
        colours, text = palette(self.app), Text(no_wrap=True, overflow="ellipsis")
        text.append(f" {sign(step.phase)} {label(step.name, 60)}", colours.phase(step.phase))
        try:
            for line in await last_lines(controller, run, step):
                text.append(f"\n   {line[:500]}", colours.plain)
        except ClientError as error:
            text.append(f"\n   {label(str(error), 300)}", colours.warning)
        self.query_one("#preview-lines", Static).update(text)

    @on(Rows.Opened, "#pipelines")
    def _run_pipeline(self, event: Rows.Opened) -> None:
        if event.key == HERE:
            self.workbench.action_launch()
        else:
            self.workbench.launch_with(KeptLauncher(self.query_one(PipelinesList).kept[event.key]))

    @on(Rows.Opened, "#runs")
    def _open(self, event: Rows.Opened) -> None:
        from workbench.tui.screens.run import RunScreen

        self.app.push_screen(RunScreen(event.key))

    def _what_to_do(self) -> Text:
        colours, file = palette(self.app), self.workbench.launcher
        text = Text(justify="center")
        if not self.workbench.feed.runs.known:
            return text.append("Asking for the runs …", colours.muted)
        text.append("No runs yet\n\n", colours.bold)
        if file is not None:
            text.append("Press ", colours.muted).append(key_of(self.app, "app.run", "r"), colours.lit)
            text.append(f" to run {label(str(file.path), 200)}\n", colours.plain)
            text.append("on the working tree around it, uncommitted changes included.", colours.muted)
        else:
            text.append("There is no .c8s.yaml here. Write one, or start with a sample:\n\n", colours.muted)
            text.append("c8s run samples/hello.yaml", colours.lit)
        return text
