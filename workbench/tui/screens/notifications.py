"""The notification history of this session, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.strip import Strip
from textual.widgets import Static

from workbench.session.notifications import Notification
from workbench.text.sanitize import sanitize_label
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.terminal import clipboard
from workbench.tui.theme import Palette, palette
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.segments import cell

_SIGNS = {"information": "·", "warning": "!", "error": "✗"}


class NotificationList(ListView):
    """One row for each notification. Keys count from the newest."""

    HELP_TITLE: ClassVar[str] = "Messages"
    ROW_ACTIONS: ClassVar[tuple[str, ...]] = ("open", "copy")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy(False)", "Copy", id="messages.copy", tooltip="Copy the selected message"),
        Binding("Y", "copy(True)", "Copy all", show=False, id="messages.copy-all",
                tooltip="Copy all messages, oldest first"),
    ]  # fmt: skip

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._messages: dict[str, Notification] = {}

    def show(self, messages: list[Notification]) -> None:
        """Newest first."""
        self._messages = {str(at): message for at, message in enumerate(messages)}
        self.show_keys(list(self._messages))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # The full text is already shown.
        return False if action == "open" else super().check_action(action, parameters)

    @property
    def selected(self) -> Notification | None:
        return self._messages.get(self.cursor or "")

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        message = self._messages[key]
        style = severity_style(message.severity, colours)
        said = f"{message.title}: {message.text}" if message.title else message.text
        counted = f"{message.count}× " if message.count > 1 else ""
        room = max(width - 13, 10)
        return Strip([
            Segment(f" {_SIGNS.get(message.severity, '·')} ", style),
            cell(f"{message.at.astimezone():%H:%M:%S}", 9, colours.muted),
            Segment(sanitize_label(f"{counted}{said}", room), colours.plain),
        ])  # fmt: skip

    @work(group="copy", exclusive=True, description="copy messages")
    async def action_copy(self, everything: bool) -> None:
        chosen = [self.selected] if self.selected is not None else []
        messages = list(reversed(self._messages.values())) if everything else chosen
        if not messages:
            return
        trouble = await clipboard.copy("\n".join(map(format_line, messages)), self.app.copy_to_clipboard)
        said = f"Copied {len(messages):,} message{'' if len(messages) == 1 else 's'}." if trouble is None else trouble
        self.notify(said, severity="information" if trouble is None else "warning", timeout=2, markup=False)


class NotificationsScreen(WorkbenchScreen):
    """The list, and below it the full text of the selected notification."""

    CSS_PATH = "details.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,H,f9", "app.pop_screen", "Back", id="messages.back", tooltip="Go back"),
    ]

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield NotificationList(id="messages")
        yield Static(id="messages-none", markup=False)
        with VerticalScroll(id="messages-whole", can_focus=False):
            yield Static(id="messages-text", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        messages = list(self.workbench.messages.newest_first())
        # Toasts would cover the list.
        self.app.clear_notifications()
        self.show_breadcrumbs(f"messages ({len(messages)})")
        self.query_one(NotificationList).show(messages)
        none = self.query_one("#messages-none", Static)
        none.display, none.styles.padding = not messages, (1, 2)
        none.update(Text("No messages yet.", palette(self.app).muted))
        self.query_one(NotificationList).display = self.query_one("#messages-whole").display = bool(messages)
        self.query_one(NotificationList).focus()
        self._show_selected()

    @on(ListView.CursorMoved)
    def _show_selected(self) -> None:
        message, colours = self.query_one(NotificationList).selected, palette(self.app)
        if message is not None:
            text = Text(f"{message.at.astimezone():%Y-%m-%d %H:%M:%S}  ", colours.muted)
            text.append(message.severity, severity_style(message.severity, colours))
            text.append(f"\n{sanitize_label(message.title, 100)}" if message.title else "", colours.bold)
            text.append(f"\n{sanitize_label(message.text, 2_000)}", colours.plain)
            self.query_one("#messages-text", Static).update(text)


def severity_style(severity: str, colours: Palette) -> Style:
    """The colour of a message."""
    return {"error": colours.error, "warning": colours.warning}.get(severity, colours.highlight)


def format_line(message: Notification) -> str:
    """A message as one line of text."""
    at: datetime = message.at.astimezone()
    title = f"{message.title}: " if message.title else ""
    counted = f" (×{message.count})" if message.count > 1 else ""
    return sanitize_label(f"{at:%Y-%m-%d %H:%M:%S} {message.severity}: {title}{message.text}{counted}", 4_000)
