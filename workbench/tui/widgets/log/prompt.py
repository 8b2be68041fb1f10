"""The prompt below a log, for a search, a filter or a time."""

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

from workbench.tui.boundary import ErrorBoundary
from workbench.tui.keys import key_label

Purpose = Literal["find", "keep", "time"]

_HINTS = {
    "find": "text; {regex}: regular expression; Enter: stay at the match; {leave}: go back",
    "keep": "show lines with this text; !text: without it; -C 3 text: with 3 lines around; empty: all lines",
    "time": "14:05, 14:05:30, or +90s after the first line",
}


class LogPrompt(ErrorBoundary, Horizontal):
    """Hidden until it is opened."""

    HELP_TITLE: ClassVar[str] = "Find and keep"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "toggle_regex", "Regex", id="find.regex", priority=True,
                tooltip="Switch between text and regular expression"),
        Binding("escape", "leave", "Close", id="find.leave", tooltip="Close the prompt"),
    ]  # fmt: skip

    @dataclass
    class Submitted(Message):
        """The user has confirmed an input."""

        purpose: Purpose
        text: str
        regex: bool

    @dataclass
    class Typed(Message):
        """The text to find has changed."""

        text: str
        regex: bool

    @dataclass
    class Closed(Message):
        """The prompt was closed. `given_up`: without Enter; `typed`: after its text was changed."""

        given_up: bool
        typed: bool

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.regex = False
        self._purpose: Purpose = "find"
        self._typed = False
        self._last_values: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield Static(classes="log-field-name", markup=False)
        yield Input(classes="log-field-text")

    def open(self, purpose: Purpose, *, blank: bool = False) -> None:
        """Open for a purpose, with its last value unless `blank`."""
        self._purpose = purpose
        self.display = True
        field = self.query_one(Input)
        regex, leave = key_label(self.app, "find.regex", "ctrl+t"), key_label(self.app, "find.leave", "Esc")
        field.placeholder = _HINTS[purpose].format(regex=regex, leave=leave)
        self._typed = False
        with field.prevent(Input.Changed):
            field.value = "" if blank else self._last_values.get(purpose, "")
        field.action_select_all()
        field.focus()
        self._update_label()

    def close(self, *, given_up: bool = True) -> bool:
        """Close the prompt; False if it was not open. Without `given_up`, its text is used."""
        shown, self.display = bool(self.display), False
        if shown:
            self.post_message(self.Closed(given_up, self._typed))
        return shown

    def action_leave(self) -> None:
        self.close()

    def action_toggle_regex(self) -> None:
        self.regex = not self.regex
        self._update_label()
        self._report_typing(self.query_one(Input).value)

    def _update_label(self) -> None:
        sign = {"find": "/", "keep": "&", "time": "time "}[self._purpose]
        kind = " regex" if self.regex and self._purpose != "time" else ""
        self.query_one(Static).update(Text(f" {sign}{kind} "))

    @on(Input.Changed)
    def _text_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._report_typing(event.value)

    def _report_typing(self, text: str) -> None:
        if self._purpose == "find" and self.display:
            self._typed = True
            self.post_message(self.Typed(text, self.regex))

    @on(Input.Submitted)
    def _enter(self, event: Input.Submitted) -> None:
        event.stop()
        self._last_values[self._purpose] = event.value
        self.close(given_up=False)
        self.post_message(self.Submitted(self._purpose, event.value, self.regex))
