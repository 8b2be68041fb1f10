"""The line below a log in which somebody types what to find, which lines to keep, or which time to go to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from workbench.tui.keys import key_label

Purpose = Literal["find", "keep", "time"]

_HINTS = {
    "find": "a text; {regex}: a regular expression; Enter goes to the next, {leave} leaves",
    "keep": "keep lines with this; ! before it: those without; empty: all lines",
    "time": "14:05, 14:05:30, or +90 s after the first line",
}


class LogPrompt(Horizontal):
    """Hidden until it is opened for a purpose."""

    HELP_TITLE: ClassVar[str] = "Find and keep"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "toggle_regex", "Regex", show=False, id="find.regex", priority=True,
                tooltip="Read what is typed as a regular expression, or as a text"),
        Binding("escape", "leave", "Leave", show=False, id="find.leave", tooltip="Leave it as it was"),
    ]  # fmt: skip

    @dataclass
    class Submitted(Message):
        """Something was typed and confirmed."""

        purpose: Purpose
        text: str
        regex: bool

    class Closed(Message):
        """The field was closed; the log has the keys again."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.regex = False
        self._purpose: Purpose = "find"
        self._last_values: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield Static(classes="log-field-name", markup=False)
        yield Input(classes="log-field-text")

    def open(self, purpose: Purpose, *, blank: bool = False) -> None:
        """Ask for this, with what was typed for it the last time unless it is asked `anew`."""
        self._purpose = purpose
        self.display = True
        field = self.query_one(Input)
        regex, leave = key_label(self.app, "find.regex", "ctrl+t"), key_label(self.app, "find.leave", "Esc")
        field.placeholder = _HINTS[purpose].format(regex=regex, leave=leave)
        field.value = "" if blank else self._last_values.get(purpose, "")
        field.action_select_all()
        field.focus()
        self._update_label()

    def close(self) -> bool:
        """Put the field away; False when it was not open."""
        shown, self.display = bool(self.display), False
        if shown:
            self.post_message(self.Closed())
        return shown

    def action_leave(self) -> None:
        self.close()

    def action_toggle_regex(self) -> None:
        self.regex = not self.regex
        self._update_label()

    def _update_label(self) -> None:
        sign = {"find": "/", "keep": "&", "time": "time "}[self._purpose]
        kind = " regex" if self.regex and self._purpose != "time" else ""
        self.query_one(Static).update(Text(f" {sign}{kind} "))

    @on(Input.Submitted)
    def _enter(self, event: Input.Submitted) -> None:
        event.stop()
        self._last_values[self._purpose] = event.value
        self.close()
        self.post_message(self.Submitted(self._purpose, event.value, self.regex))
