"""One run: its graph, its steps, and the log of the step that is selected."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.reactive import reactive
from textual.widgets import Static

from controller.run_query import run_duration
from workbench.client.errors import ClientError
from workbench.client.models import Run, Step
from workbench.logs.log_file import LogFileError
from workbench.logs.save import SaveError, save_log
from workbench.logs.step_logs import StepLogs
from workbench.report.reuse import count_reuse
from workbench.runs.footer import footer_actions
from workbench.runs.holds import describe_hold
from workbench.session.downloads import downloads_folder
from workbench.session.view_state import Layout
from workbench.submit.worktree import tree_root
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import contained, is_going
from workbench.tui.screens.base import clock_text
from workbench.tui.screens.run.failure import FailureActions
from workbench.tui.services.log_feed import LogFeed, LogRequest
from workbench.tui.terminal import clipboard
from workbench.tui.terminal.external_programs import run_external
from workbench.tui.theme import palette, phase_sign
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


class RunScreen(FailureActions):
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
        Binding("f", "maximise", "Maximise", show=False, id="run.maximise", tooltip="Show only the log, or all again"),
        Binding("c", "container", "Container", show=False, id="run.container",
                tooltip="Show the log of the next container: agent, services"),
        Binding("s", "follow", "Follow", show=False, id="run.follow",
                tooltip="Follow new lines of the log, or stop following"),
        Binding("S", "shell", "Shell", show=False, id="run.shell",
                tooltip="Open a shell in a running step, or in the saved workspace of a failed one"),
        Binding("I", "card", "Why", id="run.card",
                tooltip="Show or close the card of a failed step; of others, say why they were reused or ran again"),
        Binding("o", "open_source", "Edit source", show=False, id="run.open-source",
                tooltip="Open the file and line that a failure names in $VISUAL or $EDITOR"),
    ]  # fmt: skip

    step: reactive[str | None] = reactive(None, init=False, repaint=False)
    """The name of the step that is selected."""

    def __init__(self, run: str, step: str | None = None) -> None:
        """`step` is selected at first; without it, the one that matters most."""
        super().__init__()
        self._initial_step = step
        self._run_name = run
        self._logs = StepLogs()
        self._user_selected = False
        self._active_requests: frozenset[LogRequest] = frozenset()
        self._trends_of: tuple[str, bool] | None = None
        """The pipeline whose statistics are shown, and whether the run had ended when they were read."""
        self._steps_width: int | None = None
        """Columns of the list of steps, if the user has dragged its border."""
        self._heading: Text | None = None
        self._saved_layout: Layout = {}
        """The saved layout, until the run is loaded."""
        self._feed = LogFeed(run, self._logs, self._lines_received, self._log_failed)

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield Static(id="run-heading", markup=False)
        yield DagView(id="dag")
        with Container(id="lower"):
            yield StepList(self.now, id="steps")
            yield LogColumn(id="log-column")
        yield KeyFooter()

    def on_mount(self) -> None:
        self._saved_layout = self.workbench.saved_layout(self.STATE_KEY)
        width = self._saved_layout.get("steps-width")
        self._steps_width = width if isinstance(width, int) and not isinstance(width, bool) else None
        self._divide()
        self.query_one(DagView).form = str(self._saved_layout.get("graph", "auto"))
        self.query_one(LogGrid).set_view_options(view_options(self._saved_layout))
        self.query_one(LogColumn).restore(self._saved_layout)
        self.query_one("#dag" if self.app.size.width >= _WIDE_COLUMNS else "#steps").focus()

    def on_unmount(self) -> None:
        self._logs.close()

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
        with contained(steps), self.prevent(ListView.CursorMoved):
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
        self._show_heading()
        self.query_one(StepList).refresh()

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
        with self.prevent(ListView.CursorMoved):
            self.query_one(StepList).cursor = self.step
        self.query_one(LogGrid).select(self.step)
        self._show_step()

    @on(DagView.Selected)
    def _graph_selected(self, event: DagView.Selected) -> None:
        self._user_selected, self.step = True, event.name

    @on(ListView.CursorMoved)
    def _list_selected(self, event: ListView.CursorMoved) -> None:
        if event.key != self.step:
            self._user_selected, self.step = True, event.key

    @on(DagView.Opened)
    @on(ListView.Opened)
    def _focus_log(self) -> None:
        self.action_focus_pane("logs")

    def _show_heading(self) -> None:
        run, colours = self.run, palette(self.app)
        text = Text(" ", no_wrap=True, overflow="ellipsis")
        crumbs = ("runs", self._run_name, *((self.step,) if self.step else ()))
        self.show_breadcrumbs(*crumbs)
        if run is None:
            known = self.workbench.feed.runs.loaded
            text.append(
                f"The run {sanitize_label(self._run_name, 60)} no longer exists." if known else "Loading …",
                colours.muted,
            )
        else:
            style = colours.phase(run.phase)
            asked = " (cancelling)" if run.cancel_requested and not run.ended else ""
            text.append(f"{phase_sign(run.phase)} {sanitize_label(run.phase, 20)}{asked}", style)
            text.append(f"   {format_duration(run_duration(run, self.now()))}", colours.plain)
            reuse = count_reuse(run, self.workbench.feed.runs.get, self.now())
            if reuse is not None:
                ran = sum(bool(step.attempts) for step in run.steps)
                text.append(f"   {reuse}, {ran} ran", colours.plain)
            if run.watch:
                text.append("   by watching", colours.muted)
            text.append(f"   {sanitize_label(run.message or '', 120)}", colours.muted)
            text.append(f"   {_origin_text(run)}", colours.faint)
        if text != self._heading:
            self._heading = text
            # It is one row, whatever it says: a new layout of the whole screen is not needed.
            self.query_one("#run-heading", Static).update(text, layout=False)

    def _show_step(self) -> None:
        run = self.run
        following = self.workbench.next_holds.of(run.pipeline) if run is not None else {}
        describe = partial(describe_hold, run, following=following) if run is not None else _no_hold
        self.query_one(LogGrid).show_run(run, self._logs, describe, self.held_keys)
        self._show_heading()
        step = run.step(self.step) if run is not None and self.step is not None else None
        self.query_one(KeyFooter).show_actions(footer_actions(run, step))
        self._stream_if_needed()
        self._show_card()

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

    def _log_requests(self) -> dict[LogPane, LogRequest]:
        """The log request of each pane."""
        return {
            pane: LogRequest.of(self._run_name, pane.step, pane.key)
            for pane in self.query_one(LogGrid).panes
            if pane.step is not None and pane.key is not None
        }

    def _stream_if_needed(self) -> None:
        wanted = frozenset(each for each in self._log_requests().values() if not self._logs.is_complete(each.key))
        # A log that was streamed to its end is not loaded again once it is stored.
        same = {each.key for each in wanted} == {each.key for each in self._active_requests}
        if self.workbench.feed.controller is not None and not same:
            self._active_requests = wanted
            self._follow(wanted)

    @work(group="logs", exclusive=True, description="follow the logs that are shown")
    async def _follow(self, requests: frozenset[LogRequest]) -> None:
        controller = self.workbench.feed.controller
        if controller is not None:
            await self._feed.follow(controller, requests)

    def _lines_received(self) -> None:
        if self.is_mounted and not is_going(self):
            self.query_one(LogGrid).lines_received()

    def _log_failed(self, problem: str) -> None:
        self.notify(sanitize_label(problem, 300), title="Log", severity="warning", markup=False)

    @on(LogPane.TimestampsRequested)
    @work(group="times", exclusive=True, description="bring the times of a log")
    async def _load_timestamps(self, event: LogPane.TimestampsRequested) -> None:
        controller = self.workbench.feed.controller
        wanted = next((each for each in self._log_requests().values() if each.key == event.key), None)
        if controller is not None and wanted is not None and wanted.stored:
            await self._feed.load_timestamps(controller, wanted)
            for pane in self.query_one(LogGrid).panes:
                pane.timestamps_loaded()

    @on(LogPane.SaveRequested)
    @work(group="save", exclusive=True, description="save a log")
    async def _save_log(self, event: LogPane.SaveRequested) -> None:
        pane, key = event.pane, event.pane.key
        log = pane.view.log_file
        if key is None or log is None:
            self.notify("There is no log to save.", severity="information")
            return
        name = f"{self._run_name}-{key.step}-{key.attempt}{'' if key.container == 'step' else f'-{key.container}'}.log"
        try:
            path = await asyncio.to_thread(save_log, log, downloads_folder(tree_root(None, Path.cwd())), name)
        except (SaveError, LogFileError, OSError) as error:
            self.notify(str(error), title="Not saved", severity="error", markup=False)
            return
        trouble = await clipboard.copy(str(path), self.app.copy_to_clipboard) if event.copy else None
        copied = "; its path is copied" if event.copy and trouble is None else ""
        lines = f"{len(log):,} line{'' if len(log) == 1 else 's'}"
        self.notify(f"Saved {lines} to {sanitize_label(str(path), 200)}{copied}", markup=False)

    def action_back(self) -> None:
        if not self.query_one(LogGrid).active.close_prompt() and not self.query_one(LogColumn).reveal_log():
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

    def action_container(self) -> None:
        """Works also when the log has no lines, so that its pane can't have the focus."""
        self.query_one(LogGrid).active.action_other_container()

    def action_follow(self) -> None:
        """Works also while the log does not have the focus."""
        self.query_one(LogGrid).active.view.action_toggle_follow()

    def action_shell(self) -> None:
        """Run a shell in the step, in the container whose log is shown, in place of the workbench.

        For a failed step, `c8s shell` starts a copy of the step and removes it afterwards.
        """
        step = self.run.step(self.step) if self.run is not None and self.step is not None else None
        if step is None or (step.state not in ("Running", "Held") and step.attempt_with_workspace is None):
            self.notify(_shell_unavailable_reason(step), markup=False)
        elif self.workbench.shell is None:
            self.notify("A shell can't be opened from here; use `c8s shell`.", severity="warning")
        else:
            key = self.query_one(LogGrid).active.key
            service = key is not None and key.step == step.slug and key.container.startswith("svc-")
            container = key.container if key is not None and service else "step"
            run_external(self.app, self.workbench.shell(self._run_name, step.slug, container))

    def action_maximise(self) -> None:
        self.toggle_class("-log-only")
        self.query_one(LogColumn).maximise(self.has_class("-log-only"))
        if self.has_class("-log-only"):
            self.action_focus_pane("logs")


def _no_hold(_: Step) -> str | None:
    """Where a step of a run that is not loaded will be held."""
    return None


def _shell_unavailable_reason(step: Step | None) -> str:
    """Why no shell can be opened, and what to do."""
    if step is None:
        return "No step is selected; a shell needs a running step."
    name, saved = (
        sanitize_label(step.name, 60),
        step.last_attempt.saved_workspace if step.last_attempt is not None else None,
    )
    if saved is not None and saved.problem is not None:
        return f"The workspace of {name} could not be saved: {sanitize_label(saved.problem, 200)}"
    if step.phase == "Failed":
        return f"{name} has failed, and its workspace was not saved; set `keepOnFailure: true` to save it."
    return f"{name} is {step.phase.lower()}; a shell needs a running step."


def _origin_text(run: Run) -> str:
    commit = f" @ {run.commit[:7]}{'-dirty' if run.commit.endswith('-dirty') else ''}" if run.commit else ""
    return sanitize_label(f"{run.branch or ''}{commit}  {run.event or ''}".strip(), 60)
