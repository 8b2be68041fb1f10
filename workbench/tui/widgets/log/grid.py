"""One to four logs beside and below each other, each of any step of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.message import Message

from workbench.client.models import Run
from workbench.logs.step_logs import StepLogs
from workbench.tui.widgets.log.pane import LogPane

MOST = 4
LOG_LOOK = ("wrap", "numbers")
"""How logs are shown; all that are opened together are alike."""


def log_look(layout: Mapping[str, object]) -> dict[str, bool]:
    """What of a screen's layout is about how logs are shown."""
    return {name: value for name in LOG_LOOK if isinstance(value := layout.get(name), bool)}


class LogGrid(Grid):
    """The active pane shows the step that is selected; the others stay with theirs."""

    HELP_TITLE: ClassVar[str] = "Logs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus", "add", "More logs", show=False, id="logs.add", tooltip="Another log beside this one"),
        Binding("minus", "remove", "Fewer logs", show=False, id="logs.remove", tooltip="Close this log"),
        Binding("ctrl+n", "turn(1)", "Next log", show=False, id="logs.next", tooltip="To the next log"),
    ]

    class Changed(Message):
        """There are other panes than before, or another one is active."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names: dict[LogPane, str | None] = {}
        self._active: LogPane | None = None
        self._maximised = False
        self._look: Mapping[str, bool] = {}

    def compose(self) -> ComposeResult:
        pane = LogPane(id="log-pane")
        self._names[pane], self._active = None, pane
        pane.add_class("-active")
        yield pane

    @property
    def panes(self) -> list[LogPane]:
        return [pane for pane in self._names if pane.is_mounted]

    @property
    def active(self) -> LogPane:
        assert self._active is not None
        return self._active

    @property
    def active_name(self) -> str | None:
        """The name of the step that the active pane shows."""
        return self._names[self.active]

    def select(self, name: str | None) -> None:
        """Show this step in the active pane."""
        self._names[self.active] = name

    def show_as(self, look: Mapping[str, bool]) -> None:
        """Show these logs, and those that are opened beside them, like this (`LOG_LOOK`)."""
        self._look = look
        for pane in self._names:
            self._dress(pane)

    def _dress(self, pane: LogPane) -> None:
        for name, value in self._look.items():
            setattr(pane.view, name, value)

    def names(self) -> list[str | None]:
        """The steps of all panes, for coming back to them later."""
        return [self._names[pane] for pane in self.panes]

    async def show_names(self, names: Sequence[str], active: int) -> None:
        """Show these steps beside each other, the one at the place `active` as the active one."""
        self.select(names[0])
        for name in names[1:MOST]:
            await self.action_add(name)
        self._activate(list(self._names)[min(active, len(self._names) - 1)])

    def show_run(self, run: Run | None, logs: StepLogs) -> None:
        for pane in self.panes:
            name = self._names[pane]
            pane.show_step(run.step(name) if run is not None and name is not None else None, logs)

    def lines_came(self) -> None:
        for pane in self.panes:
            pane.lines_came()

    async def action_add(self, name: str | None = None) -> None:
        if len(self._names) >= MOST:
            self.notify(f"There is room for {MOST} logs.", severity="information")
            return
        pane = LogPane()
        self._names[pane] = name if name is not None else self.active_name
        await self.mount(pane)
        self._dress(pane)
        self._arrange()
        self._activate(pane)
        pane.view.focus()

    async def action_remove(self) -> None:
        if len(self._names) > 1:
            gone = self.active
            del self._names[gone]
            await gone.remove()
            self._active = None
            self._activate(next(iter(self._names)))
            self.active.view.focus()
            self._arrange()

    def action_turn(self, by: int) -> None:
        panes = self.panes
        other = panes[(panes.index(self.active) + by) % len(panes)]
        self._activate(other)
        other.view.focus()

    def maximise(self, alone: bool) -> None:
        """Show the active pane alone, or all of them."""
        self._maximised = alone
        self._arrange()

    @on(events.DescendantFocus)
    def _focused(self, event: events.DescendantFocus) -> None:
        pane = next((node for node in event.widget.ancestors_with_self if isinstance(node, LogPane)), None)
        if pane is not None and pane in self._names:
            self._activate(pane)

    def _activate(self, pane: LogPane) -> None:
        if pane is self._active:
            return
        self._active = pane
        for each in self._names:
            each.set_class(each is pane, "-active")
        self._arrange()
        self.post_message(self.Changed())

    def _arrange(self) -> None:
        shown = [self.active] if self._maximised else list(self._names)
        for pane in self._names:
            pane.display = pane in shown
        wide = self.size.width >= 100 or len(shown) > 2
        columns = 2 if len(shown) > 1 and wide else 1
        self.styles.grid_size_columns = columns
        self.styles.grid_size_rows = -(-len(shown) // columns)
        self.set_class(len(shown) > 1, "-several")

    def on_resize(self) -> None:
        self._arrange()
