"""The line below the editor in which one types what to find, or the number of a line to go to."""

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

Purpose = Literal["find", "line"]

_NAMES = {"find": " Find ", "line": " Go to line "}


class FindBar(ErrorBoundary, Horizontal):
    """Hidden until it is opened."""

    HELP_TITLE: ClassVar[str] = "Find in the editor"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", id="editor-find.leave", tooltip="Close the field, and go back"),
    ]  # fmt: skip

    @dataclass
    class Typed(Message):
        """The text has changed."""

        purpose: Purpose
        text: str

    @dataclass
    class Closed(Message):
        """The bar was closed; `given_up`: by Escape."""

        given_up: bool

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._purpose: Purpose = "find"

    def compose(self) -> ComposeResult:
        yield Static(classes="log-field-name", markup=False)
        yield Input(classes="log-field-text", compact=True)
        yield Static(id="editor-find-count", markup=False)

    def open(self, purpose: Purpose, text: str = "") -> None:
        """Open it with this text, which is selected."""
        self._purpose, self.display = purpose, True
        self.query(Static).first(Static).update(Text(_NAMES[purpose]))
        self.say("")
        field = self.query_one(Input)
        with field.prevent(Input.Changed):
            field.value = text
        field.action_select_all()
        field.focus()
        self.post_message(self.Typed(purpose, text))

    def say(self, text: str) -> None:
        """Show a text at the right, such as how many matches there are."""
        self.query_one("#editor-find-count", Static).update(Text(f" {text} " if text else ""))

    def action_leave(self) -> None:
        self._hide(given_up=True)

    def _hide(self, *, given_up: bool) -> None:
        if self.display:
            self.display = False
            self.post_message(self.Closed(given_up))

    @on(Input.Changed)
    def _text_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Typed(self._purpose, event.value))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self._hide(given_up=False)
