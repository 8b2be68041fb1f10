"""Jump mode: each place of the screen has a label, and typing it goes there."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

from workbench.tui.boundary import ErrorBoundary
from workbench.tui.widgets.jump_targets import JumpTarget, labels


class JumpScreen(ErrorBoundary, ModalScreen[JumpTarget | None]):
    """Shows labels over the screen below; returns what was chosen."""

    CSS_PATH = "jump.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+o", "dismiss(None)", "Back", id="jump.back", tooltip="Leave jump mode"),
        Binding("backspace", "take_back", "Take back", show=False, id="jump.take-back",
                tooltip="Remove the letter that was typed"),
    ]  # fmt: skip

    def __init__(self, targets: list[JumpTarget]) -> None:
        super().__init__()
        self._targets = dict(zip(labels(len(targets)), targets, strict=True))
        self._typed = ""
        self._labelled_size: Size | None = None

    def compose(self) -> ComposeResult:
        for label, target in self._targets.items():
            sign = Static(label, id=f"jump-{label}", classes="jump-label", markup=False)
            sign.styles.offset = target.at
            yield sign

    def on_key(self, event: events.Key) -> None:
        if event.character is None or not event.character.isalpha():
            return
        event.stop()
        self._typed += event.character.lower()
        if self._typed in self._targets:
            self.dismiss(self._targets[self._typed])
        elif not any(label.startswith(self._typed) for label in self._targets):
            self.dismiss(None)
        else:
            self._show_rest()

    def action_take_back(self) -> None:
        self._typed = self._typed[:-1]
        self._show_rest()

    def on_resize(self, event: events.Resize) -> None:
        if self._labelled_size is None:
            self._labelled_size = event.size
        self._leave_if_resized()

    def on_screen_resume(self) -> None:
        self._leave_if_resized()

    def _leave_if_resized(self) -> None:
        """Leave when the labels are no longer where their targets are; below another screen, when that is closed."""
        if self._labelled_size not in (None, self.app.size) and self.app.screen is self:
            self.dismiss(None)

    def _show_rest(self) -> None:
        """Show only the labels that can still be meant."""
        for label in self._targets:
            self.query_one(f"#jump-{label}").display = label.startswith(self._typed)
