"""A grid of one to four logs, each of any step of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.message import Message

from workbench.client.models import Run, Step
from workbench.logs.step_logs import StepLogs
from workbench.tui.boundary import ErrorBoundary, contained, is_going
from workbench.tui.widgets.log.pane import LogPane

MAX_PANES = 4
VIEW_OPTIONS = ("wrap", "numbers")
"""Display options that all logs of a grid share."""


def view_options(layout: Mapping[str, object]) -> dict[str, bool]:
    """The display options in a saved layout."""
    return {name: value for name in VIEW_OPTIONS if isinstance(value := layout.get(name), bool)}


class LogGrid(ErrorBoundary, Grid):
    """The active pane follows the selected step; the others keep theirs."""

    HELP_TITLE: ClassVar[str] = "Logs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus", "add", "More logs", show=False, id="logs.add", tooltip="Show another log beside this one"),
        Binding("minus", "remove", "Fewer logs", show=False, id="logs.remove", tooltip="Close this log"),
        Binding("ctrl+n", "turn(1)", "Next log", show=False, id="logs.next", tooltip="Go to the next log"),
    ]

    class Changed(Message):
        """A pane was added, removed or activated."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._step_names: dict[LogPane, str | None] = {}
        self._active: LogPane | None = None
        self._maximised = False
        self._view_options: Mapping[str, bool] = {}

    def compose(self) -> ComposeResult:
        pane = LogPane(id="log-pane")
        self._step_names[pane], self._active = None, pane
        pane.add_class("-active")
        yield pane

    @property
    def panes(self) -> list[LogPane]:
        return [pane for pane in self._step_names if pane.is_mounted and not is_going(pane)]

    @property
    def active(self) -> LogPane:
        assert self._active is not None
        return self._active

    @property
    def active_step_name(self) -> str | None:
        """The name of the step that the active pane shows."""
        return self._step_names[self.active]

    def select(self, name: str | None) -> None:
        """Show this step in the active pane."""
        self._step_names[self.active] = name

    def set_view_options(self, options: Mapping[str, bool]) -> None:
        """Apply display options (`VIEW_OPTIONS`) to all panes, including those added later."""
        self._view_options = options
        for pane in self._step_names:
            self._apply_view_options(pane)

    def _apply_view_options(self, pane: LogPane) -> None:
        for name, value in self._view_options.items():
            setattr(pane.view, name, value)

    def step_names(self) -> list[str | None]:
        """The steps of all panes, to restore them later."""
        return [self._step_names[pane] for pane in self.panes]

    async def show_steps(self, names: Sequence[str], active: int) -> None:
        """Show these steps side by side; `active` is the index of the active one."""
        self.select(names[0])
        for name in names[1:MAX_PANES]:
            await self.action_add(name)
        self._activate(list(self._step_names)[min(active, len(self._step_names) - 1)])

    def show_run(
        self,
        run: Run | None,
        logs: StepLogs,
        describe_hold: Callable[[Step], str | None] = lambda _: None,
        held_keys: Callable[[Step], str] = lambda _: "",
    ) -> None:
        """Show the steps of a run in a newer state.

        Args:
            describe_hold: says where a step will be held, if anywhere.
            held_keys: says what one can do with a step that is held.
        """
        for pane in self.panes:
            name = self._step_names[pane]
            step = run.step(name) if run is not None and name is not None else None
            pane.hold = describe_hold(step) if step is not None else None
            pane.held_keys = held_keys(step) if step is not None and step.held is not None else ""
            with contained(pane):
                pane.show_step(step, logs)

    def set_offline(self, since: str | None) -> None:
        """Say that lines are missing since a time, or None that they come."""
        for pane in self.panes:
            pane.offline_since = since
            pane.update_status()

    def lines_received(self) -> None:
        for pane in self.panes:
            pane.lines_received()

    async def action_add(self, name: str | None = None) -> None:
        if len(self._step_names) >= MAX_PANES:
            self.notify(f"At most {MAX_PANES} logs can be shown.", severity="information")
            return
        pane = LogPane()
        self._step_names[pane] = name if name is not None else self.active_step_name
        await self.mount(pane)
        self._apply_view_options(pane)
        self._update_grid()
        self._activate(pane)
        pane.view.focus()

    async def action_remove(self) -> None:
        if len(self._step_names) > 1:
            gone = self.active
            del self._step_names[gone]
            await gone.remove()
            self._active = None
            self._activate(next(iter(self._step_names)))
            self.active.view.focus()
            self._update_grid()

    def action_turn(self, by: int) -> None:
        panes = self.panes
        other = panes[(panes.index(self.active) + by) % len(panes)]
        self._activate(other)
        other.view.focus()

    def maximise(self, alone: bool) -> None:
        """Show the active pane alone, or all of them."""
        self._maximised = alone
        self._update_grid()

    @on(events.DescendantFocus)
    def _focused(self, event: events.DescendantFocus) -> None:
        pane = next((node for node in event.widget.ancestors_with_self if isinstance(node, LogPane)), None)
        if pane is not None and pane in self._step_names:
            self._activate(pane)

    def _activate(self, pane: LogPane) -> None:
        if pane is self._active:
            return
        self._active = pane
        for each in self._step_names:
            each.set_class(each is pane, "-active")
        self._update_grid()
        self.post_message(self.Changed())

    def _update_grid(self) -> None:
        shown = [self.active] if self._maximised else list(self._step_names)
        for pane in self._step_names:
            pane.display = pane in shown
        wide = self.size.width >= 100 or len(shown) > 2
        columns = 2 if len(shown) > 1 and wide else 1
        self.styles.grid_size_columns = columns
        self.styles.grid_size_rows = -(-len(shown) // columns)
        self.set_class(len(shown) > 1, "-several")

    def on_resize(self) -> None:
        self._update_grid()
