"""The first screen: all runs, live, and the graph of the one under the cursor."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Footer, Input, Static

from workbench.core.run_filter import ORDERS, RunFilter
from workbench.core.text import label
from workbench.tui.run_actions import RunActions
from workbench.tui.screens.run import RunScreen
from workbench.tui.theme import palette
from workbench.tui.widgets.dag_view import DagView
from workbench.tui.widgets.rows import Rows
from workbench.tui.widgets.runs_table import RunsHeading, RunsTable
from workbench.tui.widgets.top_bar import TopBar


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
        Binding("escape", "leave_filter", "All", show=False, id="runs.all", tooltip="Show all runs again"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (28, "-high")]  # noqa: RUF012 - Textual says so

    def __init__(self) -> None:
        super().__init__()
        self._filter = RunFilter()

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield RunsHeading(id="runs-heading")
        yield RunsTable(self.workbench.now, id="runs")
        yield Static(id="runs-empty", markup=False)
        yield Input(id="runs-filter", placeholder="words of name, branch, commit, event, trigger or phase")
        with Vertical(id="preview"):
            yield Static(id="preview-heading", markup=False)
            preview = DagView(id="preview-dag")
            preview.can_focus = False
            yield preview
        yield Footer()

    @property
    def run_in_hand(self) -> str | None:
        return self.query_one(RunsTable).cursor

    def runs_changed(self) -> None:
        runs = self.workbench.feed.runs
        table, empty = self.query_one(RunsTable), self.query_one("#runs-empty", Static)
        table.show_runs(runs, self._filter)
        self._crumbs()
        none = not len(runs)
        table.display = self.query_one(RunsHeading).display = not none
        empty.display = none
        if none:
            empty.update(self._what_to_do())
        elif self.focused is None:
            table.focus()
        self._preview()

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

    @on(Rows.Moved)
    def _preview(self) -> None:
        run = self.workbench.feed.runs.get(self.run_in_hand or "")
        pane = self.query_one("#preview")
        pane.display = run is not None and bool(run.steps)
        if run is not None:
            colours = palette(self.app)
            heading = Text(" ", no_wrap=True)
            heading.append(label(run.name, 60), colours.bold)
            heading.append(f"   {label(run.message or run.phase, 200)}", colours.muted)
            self.query_one("#preview-heading", Static).update(heading)
            self.query_one("#preview-dag", DagView).show_run(run)

    @on(Rows.Opened)
    def _open(self, event: Rows.Opened) -> None:
        self.app.push_screen(RunScreen(event.key))

    def _what_to_do(self) -> Text:
        colours, file = palette(self.app), self.workbench.launcher
        text = Text(justify="center")
        if not self.workbench.feed.runs.known:
            return text.append("Asking for the runs …", colours.muted)
        text.append("No runs yet\n\n", colours.bold)
        if file is not None:
            text.append("Press ", colours.muted).append("r", colours.lit)
            text.append(f" to run {label(str(file.path), 200)}\n", colours.plain)
            text.append("on the working tree around it, uncommitted changes included.", colours.muted)
        else:
            text.append("There is no .c8s.yaml here. Write one, or start with a sample:\n\n", colours.muted)
            text.append("c8s run samples/hello.yaml", colours.lit)
        return text
