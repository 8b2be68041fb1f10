"""One run: its graph, its steps, and the log of the step that is selected."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.reactive import reactive

from workbench.client.errors import ClientError
from workbench.client.models import Run, Step
from workbench.runs.footer import footer_actions
from workbench.runs.holds import describe_hold
from workbench.session.view_state import Layout
from workbench.tui.boundary import contained
from workbench.tui.screens.base import clock_text
from workbench.tui.screens.run.heading import RunHeading
from workbench.tui.screens.run.logs import LogActions
from workbench.tui.widgets.dag.view import DagView
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.log.column import LogColumn
from workbench.tui.widgets.log.grid import VIEW_OPTIONS, LogGrid, view_options
from workbench.tui.widgets.log.pane import LogPane
from workbench.tui.widgets.step_list import StepList

_WIDE_COLUMNS = 100
"""Minimum columns for the graph."""
_TRENDS_DELAY = 2.0
"""Seconds."""
_MIN_STEPS_COLUMNS, _MIN_LOG_COLUMNS = 20, 30
"""Columns that the list of steps and the log keep when the border between them is dragged."""


class RunScreen(LogActions):
    """Graph above, steps and log below; a narrow terminal hides the graph."""

    CSS_PATH = "screen.tcss"
    STATE_KEY = "run"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE_COLUMNS, "-wide")]  # noqa: RUF012 - Textual says so
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012 - Textual says so
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "back", "Back", id="run.back", tooltip="Go back to the runs"),
        Binding("1", "focus_pane('dag')", "Graph", show=False, id="run.graph", tooltip="Go to the graph"),
        Binding("2", "focus_pane('steps')", "Steps", show=False, id="run.steps", tooltip="Go to the steps"),
        Binding("3", "focus_pane('logs')", "Log", show=False, id="run.log", tooltip="Go to the log"),
        Binding("slash", "find", "Find", show=False, id="run.find", tooltip="Find text in the log of the step"),
        Binding("f", "maximise", "Maximise", show=False, id="run.maximise", tooltip="Show only the log, or all again"),
        Binding("I", "card", "Why", id="run.card",
                tooltip="Show or close the card of a failed step; of others, say why they were reused or ran again"),
        Binding("o", "open_source", "Edit source", show=False, id="run.open-source",
                tooltip="Open the file and line that a failure names in $VISUAL or $EDITOR"),
    ]  # fmt: skip
    WRITING_ACTIONS: ClassVar[tuple[str, ...]] = ("open_source",)

    step: reactive[str | None] = reactive(None, init=False, repaint=False)
    """The name of the step that is selected."""

    def __init__(self, run: str, step: str | None = None) -> None:
        """`step` is selected at first; without it, the one that matters most."""
        super().__init__(run)
        self._initial_step = step
        self._user_selected = False
        self._keeps_step = False
        self._trends_of: tuple[str, bool] | None = None
        """The pipeline whose statistics are shown, and whether the run had ended when they were read."""
        self._steps_width: int | None = None
        """Columns of the list of steps, if the user has dragged its border."""
        self._saved_layout: Layout = {}
        """The saved layout, until the run is loaded."""

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield RunHeading()
        yield DagView(id="dag")
        with Container(id="lower"):
            yield StepList(self.now, id="steps")
            yield LogColumn(id="log-column")
        yield KeyFooter()

    def on_mount(self) -> None:
        # Not by their messages, which arrive after the cursor is drawn: one picture shows all that a key changes.
        self.watch(self.query_one(DagView), "selected", self._step_chosen, init=False)
        self.watch(self.query_one(StepList), "cursor", self._step_chosen, init=False)
        self._saved_layout = self.workbench.saved_layout(self.STATE_KEY)
        width = self._saved_layout.get("steps-width")
        self._steps_width = width if isinstance(width, int) and not isinstance(width, bool) else None
        self._divide()
        self.query_one(DagView).form = str(self._saved_layout.get("graph", "auto"))
        self.query_one(LogGrid).set_view_options(view_options(self._saved_layout))
        self.query_one(LogColumn).restore(self._saved_layout)
        self.query_one("#dag" if self.app.size.width >= _WIDE_COLUMNS else "#steps").focus()

    def layout_state(self) -> Layout:
        grid = self.query_one(LogGrid)
        panes = "\n".join(name or "" for name in grid.step_names())
        chosen = {"step": self.step or "", "panes": panes} if self._user_selected or len(grid.panes) > 1 else {}
        look = {name: getattr(grid.active.view, name) for name in VIEW_OPTIONS}
        width = {} if self._steps_width is None else {"steps-width": self._steps_width}
        card = self.query_one(LogColumn).layout_state()
        return {"run": self._run_name, "graph": self.query_one(DagView).form, **look, **width, **card, **chosen}

    def on_resize(self) -> None:
        self._divide()

    @on(StepList.EdgeDragged)
    def _edge_dragged(self, event: StepList.EdgeDragged) -> None:
        self._steps_width = event.column - self.query_one(StepList).region.x + 1
        self._divide()

    def _divide(self) -> None:
        """Give the list of steps its width, where it is beside the log."""
        styles = self.query_one(StepList).styles
        if self._steps_width is None:
            return
        if self.app.size.width < _WIDE_COLUMNS:
            for rule in ("width", "min_width", "max_width"):
                styles.clear_rule(rule)
        else:
            width = min(max(self._steps_width, _MIN_STEPS_COLUMNS), self.app.size.width - _MIN_LOG_COLUMNS)
            styles.width = styles.min_width = styles.max_width = width

    async def _restore_layout(self, run: Run) -> None:
        """Restore the step and logs that were shown, if the layout was saved for this run."""
        before, self._saved_layout = self._saved_layout, {}
        steps, step = {each.name for each in run.steps}, before.get("step")
        if before.get("run") != run.name or step not in steps:
            return
        focused = self.focused
        names = [name for name in str(before.get("panes", "")).split("\n") if name in steps]
        if step in names:
            await self.query_one(LogGrid).show_steps(names, names.index(str(step)))
        self._user_selected, self.step = True, str(step)
        if focused is not None:
            focused.focus()

    def show_step(self, name: str) -> None:
        """Select the step with this name, if there is one."""
        if self.run is not None and self.run.steps:
            self._initial_step = None
            if any(step.name == name for step in self.run.steps):
                self._user_selected, self.step = True, name

    @property
    def current_run(self) -> str | None:
        return self._run_name

    @property
    def current_step(self) -> str | None:
        return self.step

    def run_deleted(self) -> None:
        if self.is_current:
            self.app.pop_screen()

    @property
    def run(self) -> Run | None:
        return self.workbench.feed.runs.get(self._run_name)

    def now(self) -> datetime:
        """The time that the run is shown at."""
        return self.workbench.now()

    def runs_changed(self) -> None:
        run = self.run
        self._show_heading()
        if run is None:
            return
        dag, steps = self.query_one(DagView), self.query_one(StepList)
        with contained(dag):
            dag.show_run(run)
        with contained(steps), self._keeping_step():
            steps.show_run(run)
        if self._trends_of != (run.pipeline, run.ended):
            delay = _TRENDS_DELAY if self._trends_of is not None else 0.0
            self._trends_of = (run.pipeline, run.ended)
            self._load_trends(run.pipeline, delay)
        if self._initial_step is not None:
            self._saved_layout = {}
            self.show_step(self._initial_step)
        if self._saved_layout:
            self.call_later(self._restore_layout, run)
        if not self._user_selected or self.step not in {step.name for step in run.steps}:
            self._select_automatically(run)
        self._show_step()

    @work(group="trends", exclusive=True, description="read the statistics")
    async def _load_trends(self, pipeline: str, delay: float) -> None:
        controller = self.workbench.feed.controller
        if controller is None:
            self._trends_of = None
            return
        # They are written a moment after the end of a run.
        await asyncio.sleep(delay)
        try:
            found = await controller.statistics(pipeline)
        except ClientError:
            # No run of the pipeline has ended, or they can't be read: the steps are shown without them.
            return
        trends = {step.name: step for step in found.steps}
        self.query_one(StepList).show_trends(trends, ascii_only=self.workbench.ascii_only)

    def connection_changed(self) -> None:
        lost_at = self.workbench.feed.lost_at
        self.query_one(LogGrid).set_offline(clock_text(lost_at) if lost_at is not None else None)
        self._show_heading()
        # With a new connection the logs that could not be loaded are.
        self._stream_if_needed()
        self._show_card()

    def clock_ticked(self) -> None:
        run = self.run
        if run is not None and not run.ended:
            self._show_heading()
            self.query_one(StepList).tick()

    def _select_automatically(self, run: Run) -> None:
        """Select a step until the user does: one that is held, else has failed, else runs, else ran last."""
        states = {"Held": 0, "Failed": 1, "Running": 2, "Succeeded": 3, "Cancelled": 4}
        current = next((step for step in run.steps if step.name == self.step), None)
        ranked = sorted(run.steps, key=lambda step: states.get(step.state, 5))
        if current is not None and current.state in ("Held", "Failed", "Running") and ranked[0].state != "Held":
            return
        if ranked and (ranked[0].state in ("Held", "Failed", "Running") or current is None):
            self.step = ranked[0].name

    def watch_step(self) -> None:
        self.query_one(DagView).selected = self.step
        self.query_one(StepList).cursor = self.step
        self.query_one(LogGrid).select(self.step)
        self._show_step()

    def _step_chosen(self, name: str | None) -> None:
        if name is not None and name != self.step and not self._keeps_step:
            self._user_selected, self.step = True, name

    @contextmanager
    def _keeping_step(self) -> Iterator[None]:
        """Within the block, a cursor that moves because rows change does not choose a step."""
        self._keeps_step = True
        try:
            yield
        finally:
            self._keeps_step = False

    @on(DagView.Opened)
    @on(ListView.Opened)
    def _focus_log(self) -> None:
        self.action_focus_pane("logs")

    def _show_heading(self) -> None:
        run = self.run
        self.show_breadcrumbs("runs", self._run_name, *((self.step,) if self.step else ()))
        heading = self.query_one(RunHeading)
        if run is None:
            heading.show_missing(self._run_name, loaded=self.workbench.feed.runs.loaded)
        else:
            heading.show_run(run, self.now(), self.workbench.feed.runs.get)

    def _show_step(self) -> None:
        run = self.run
        following = self.workbench.next_holds.of(run.pipeline) if run is not None else {}
        describe = partial(describe_hold, run, following=following) if run is not None else _no_hold
        self.query_one(LogGrid).show_run(run, self._logs, describe, self.held_keys)
        self._show_heading()
        self.fit_footer()
        self._stream_if_needed()
        self._show_card()

    def fit_footer(self) -> None:
        run = self.run
        step = run.step(self.step) if run is not None and self.step is not None else None
        self.query_one(KeyFooter).show_actions(footer_actions(run, step))

    @on(LogPane.StreamChanged)
    def _stream_changed(self) -> None:
        self._show_step()

    @on(LogGrid.Changed)
    def _pane_changed(self) -> None:
        name = self.query_one(LogGrid).active_step_name
        if name is not None and name != self.step:
            self._user_selected, self.step = True, name
        else:
            self._show_step()

    def action_back(self) -> None:
        # On a busy machine, Escape can come before the screen has anything that could be closed.
        if self.is_mounted and (
            self.query_one(LogGrid).active.close_prompt() or self.query_one(LogColumn).reveal_log()
        ):
            return
        self.app.pop_screen()

    def action_focus_pane(self, pane: str) -> None:
        if pane == "logs":
            self.query_one(LogColumn).reveal_log()
        else:
            # In a narrow terminal, the graph takes the place of the list.
            self.set_class(pane == "dag", "-graph")
        if self.has_class("-log-only") and pane != "logs":
            self.action_maximise()
        widget = self.query_one(LogGrid).active.view if pane == "logs" else self.query_one(f"#{pane}")
        widget.focus()

    def action_find(self) -> None:
        """What follows `/` is typed into a field wherever the focus is: as keys, it would do anything."""
        if self.is_mounted:
            self.query_one(LogColumn).reveal_log()
            self.query_one(LogGrid).active.action_ask("find")

    def action_maximise(self) -> None:
        self.toggle_class("-log-only")
        self.query_one(LogColumn).maximise(self.has_class("-log-only"))
        if self.has_class("-log-only"):
            self.action_focus_pane("logs")


def _no_hold(_: Step) -> str | None:
    """Where a step of a run that is not loaded will be held."""
    return None
