"""Pushes and pull requests that forges reported, and why each did or did not start a run."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static

from workbench.client.errors import ClientError
from workbench.runs.delivery_list import DeliveryRow, delivery_rows, explain, summary
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import is_going
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.screens.dialogs import ConfirmDialog
from workbench.tui.theme import Palette, phase_sign
from workbench.tui.user_work import user_work
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.segments import cell

REFRESH_SECONDS = 5.0
_SIGNS = {"Refused": "✗", "Waiting": "‖", "Ignored": "»"}
"""Of states that are not phases of a run."""


class DeliveryList(ListView):
    """A row for each delivery."""

    HELP_TITLE: ClassVar[str] = "Pushes"
    ROW_ACTIONS: ClassVar[tuple[str, ...]] = ("open", "replay")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("B", "replay", "Again", id="deliveries.replay",
                tooltip="Handle the delivery again, with the pipelines as they are now (asks first)"),
    ]  # fmt: skip
    WRITING_ACTIONS: ClassVar[tuple[str, ...]] = ("replay",)

    class ReplayRequested(Message):
        """The user wants to have the delivery under the cursor handled again."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: dict[str, DeliveryRow] = {}

    def show(self, rows: tuple[DeliveryRow, ...]) -> None:
        self.rows = {row.id: row for row in rows}
        self.show_keys(list(self.rows))

    def action_replay(self) -> None:
        self.post_message(self.ReplayRequested())

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        row = self.rows[key]
        delivery, state = row.delivery, row.state
        style = {"Refused": colours.error, "Waiting": colours.warning}.get(state, colours.phase(state))
        name = max(min(width // 5, 24), 8)
        about = max(min(width // 4, 32), 10)
        rest = max(width - 3 - 17 - name - about - 12, 0)
        why = delivery.reason or next((run.message or "" for run in delivery.runs), "")
        return Strip(
            [
                Segment(f" {_SIGNS.get(state) or phase_sign(state)} ", style),
                cell(_local(delivery.time), 17, colours.muted),
                cell(sanitize_label(delivery.connection, name - 1), name, colours.plain),
                cell(sanitize_label(delivery.about or delivery.event, about - 1), about, colours.plain),
                cell(f" {sanitize_label(state, 9)}", 11, style),
                cell(sanitize_label(why, rest), rest, colours.muted),
            ]
        )


class DeliveriesScreen(WorkbenchScreen):
    """The deliveries of all connections of the namespace, newest first; below, why the one under the cursor ran."""

    CSS_PATH = "details.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,P", "app.pop_screen", "Back", id="deliveries.back", tooltip="Go back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._loaded = False

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield Static("Loading …", id="deliveries-summary", classes="details-hint", markup=False)
        yield DeliveryList(id="deliveries")
        yield Static(id="deliveries-why", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        self.show_breadcrumbs("runs", "pushes")
        self.query_one(DeliveryList).focus()
        self.set_interval(REFRESH_SECONDS, self._load)
        self._load()

    def runs_changed(self) -> None:
        self._load()

    def connection_changed(self) -> None:
        self._load()

    @work(group="deliveries", exclusive=True, description="list the deliveries")
    async def _load(self) -> None:
        controller, said = self.workbench.feed.controller, self.query_one("#deliveries-summary", Static)
        if not self._loaded:
            said.update(self.loading_text("The deliveries"))
        if controller is None or self.workbench.feed.connection_error is not None:
            return
        try:
            with self.keys_wait_for_list(loaded=self._loaded):
                connections = await controller.connections()
                self.query_one(DeliveryList).show(delivery_rows(connections))
        except ClientError as error:
            said.update(Text(f"The deliveries can't be listed: {sanitize_label(str(error), 300)}"))
            return
        self._loaded = True
        said.update(Text(summary(connections)))
        self._explain()

    @on(ListView.CursorMoved)
    def _cursor_moved(self) -> None:
        self._explain()

    def _explain(self) -> None:
        row = self._row()
        self.query_one("#deliveries-why", Static).update(Text(explain(row.delivery)) if row is not None else "")

    def _row(self) -> DeliveryRow | None:
        deliveries = self.query_one(DeliveryList)
        return deliveries.rows.get(deliveries.cursor or "")

    @on(ListView.Opened)
    def _open_run(self) -> None:
        row = self._row()
        if row is None:
            return
        if row.run is not None:
            self.workbench.open_run(row.run, above=True)
        else:
            self.notify("It has no run; why is below the list.", markup=False)

    @on(DeliveryList.ReplayRequested)
    @user_work("replay a delivery")
    async def _replay(self) -> None:
        row, controller = self._row(), self.workbench.feed.controller
        if row is None or controller is None:
            return
        what = sanitize_label(row.delivery.about or row.delivery.event, 60)
        detail = "The connection and the pipelines count as they are now. Earlier runs of the delivery stay."
        if not await self.app.push_screen_wait(ConfirmDialog(f"Handle the {what} again?", detail, "Handle it again")):
            return
        try:
            outcome = await controller.replay(row.delivery.connection, row.delivery.id)
        except ClientError as error:
            message = sanitize_label(str(error), 400)
            self.notify(message, title="Not handled again", severity="error", markup=False, timeout=15)
            return
        if outcome.runs:
            self.notify(f"It started {', '.join(sanitize_label(run, 63) for run in outcome.runs)}.", markup=False)
        else:
            reason = sanitize_label(outcome.reason, 400) or "no reason is known"
            self.notify(f"It starts nothing: {reason}", severity="warning", markup=False)
        if not is_going(self):
            self._load()


def _local(time: str) -> str:
    """`2026-11-29 10:00` in local time; the text itself if it is no time."""
    try:
        return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return sanitize_label(time, 16)
