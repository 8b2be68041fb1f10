"""Asks for the value of a secret, which is neither shown nor kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from workbench.runs.secret_list import typed_value
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import ErrorBoundary

_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_MAX_BYTES = 1024 * 1024
"""Kubernetes' limit for a Secret."""


@dataclass(frozen=True)
class SecretInput:
    """What the user has entered."""

    name: str
    key: str
    value: str = field(repr=False)


class SecretField(ErrorBoundary, Input):
    """A masked field that takes several lines by paste, and gives nothing to the clipboard."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, password=True, compact=True, placeholder="type or paste the value")

    def _on_paste(self, event: events.Paste) -> None:
        # Textual's own field takes the first line only, and a key has many.
        self.replace(event.text, *self.selection)
        event.stop()
        event.prevent_default()

    def action_copy(self) -> None:
        """A secret is not copied."""

    def action_cut(self) -> None:
        self.delete_selection()


class SetSecretDialog(ErrorBoundary, ModalScreen[SecretInput | None]):
    """Sets a key of a secret; without `name` and `key`, asks for them, too. Returns None if the user cancels."""

    CSS_PATH = "../dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="secret.back", tooltip="Don't set it"),
    ]

    def __init__(self, name: str = "", key: str = "", *, exists: bool = False) -> None:
        super().__init__()
        self._secret, self._key, self._exists = name, key, exists

    def compose(self) -> ComposeResult:
        known = bool(self._secret)
        what = f"{sanitize_label(self._secret, 40)} / {sanitize_label(self._key, 40)}" if known else "a new secret"
        with Vertical(classes="dialog"):
            yield Static(Text(f"Set {what}"), classes="dialog-title", markup=False)
            if self._exists:
                yield Static("It has a value, which is replaced.", classes="dialog-text", markup=False)
            if not known:
                yield Static("Name and key, as in secretRef and key of a step", classes="dialog-caption", markup=False)
                yield Input(id="secret-name", placeholder="name", compact=True)
                yield Input(id="secret-key", placeholder="key", compact=True)
            yield Static("Value", classes="dialog-caption", markup=False)
            yield SecretField(id="secret-value")
            yield Static(id="secret-size", classes="dialog-hint", markup=False)
            yield Static(id="secret-wrong", classes="dialog-error", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Back", id="back", compact=True)
                yield Button("Set", id="set", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.query(Input).first().focus()

    @on(Input.Changed, "#secret-value")
    def _show_size(self, event: Input.Changed) -> None:
        lines = event.value.count("\n") + 1
        self.query_one("#secret-size", Static).update(f"{lines} lines" if lines > 1 else "")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        fields = list(self.query(Input))
        if event.input is not fields[-1]:
            fields[fields.index(event.input) + 1].focus()
        else:
            self._finish()

    @on(Button.Pressed)
    def _button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "set":
            self._finish()
        else:
            self.dismiss(None)

    def _finish(self) -> None:
        name, key = self._secret, self._key
        if not name:
            name, key = (self.query_one(field, Input).value.strip() for field in ("#secret-name", "#secret-key"))
        value = typed_value(self.query_one("#secret-value", Input).value)
        problem = _problem(name, key, value)
        if problem is not None:
            self.query_one("#secret-wrong", Static).update(problem)
            return
        # The field would otherwise live until the screen is collected.
        with self.prevent(Input.Changed):
            self.query_one("#secret-value", Input).value = ""
        self.dismiss(SecretInput(name, key, value))


def _problem(name: str, key: str, value: str) -> str | None:
    if not _NAME.fullmatch(name):
        return "A name has lower-case letters, digits, - and . only, and begins and ends with a letter or digit."
    if not _KEY.fullmatch(key):
        return "A key has letters, digits, -, _ and . only."
    if not value:
        return "There is no value."
    if len(value.encode(errors="replace")) > _MAX_BYTES:
        return "The value is larger than 1 MiB, the limit for a secret."
    return None
