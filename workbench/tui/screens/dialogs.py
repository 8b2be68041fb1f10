"""Modal dialogs: a question, and a list of diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from controller.pipeline.diagnostics import Diagnostic
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import ErrorBoundary
from workbench.tui.keys import key_label
from workbench.tui.theme import palette

_MAX_IN_A_ROW = 2
"""Choices up to which their buttons are side by side."""


class ConfirmDialog(ErrorBoundary, ModalScreen[bool]):
    """Asks before a destructive action. The focus is on No."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes", id="confirm.yes", tooltip="Confirm"),
        Binding("n,escape,q", "dismiss(False)", "No", id="confirm.no", tooltip="Cancel"),
        Binding(
            "left,h,right,l",
            "app.focus_next",
            "Other",
            show=False,
            id="confirm.other",
            tooltip="Go to the other answer",
        ),
    ]

    def __init__(self, question: str, detail: str, confirm_label: str) -> None:
        super().__init__()
        self._question, self._detail, self._confirm_label = question, detail, confirm_label

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(sanitize_label(self._question, 60)), classes="dialog-title", markup=False)
            yield Static(Text(self._detail), classes="dialog-text", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("No", id="no", compact=True)
                yield Button(Text(self._confirm_label), id="yes", variant="error", compact=True)

    def on_mount(self) -> None:
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


class ChoiceDialog(ErrorBoundary, ModalScreen[str | None]):
    """Asks which of several things to do; the answer is the key of the choice, or None. The focus is on the first."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Back", id="choice.back", tooltip="Do nothing"),
        Binding("right,l,down,j", "app.focus_next", "Next", show=False, id="choice.next", tooltip="Go to the next one"),
        Binding("left,h,up,k", "app.focus_previous", "Previous", show=False, id="choice.previous",
                tooltip="Go to the previous one"),
    ]  # fmt: skip

    def __init__(self, question: str, detail: str, choices: Mapping[str, str]) -> None:
        super().__init__()
        self._question, self._detail, self._choices = question, detail, dict(choices)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(sanitize_label(self._question, 60)), classes="dialog-title", markup=False)
            yield Static(Text(self._detail), classes="dialog-text", markup=False)
            in_a_row = len(self._choices) <= _MAX_IN_A_ROW
            with Horizontal(classes="dialog-buttons") if in_a_row else Vertical(classes="dialog-choices"):
                for key, label in self._choices.items():
                    yield Button(Text(label), id=f"choice-{key}", compact=True)
                yield Button("Back", id="choice--back", compact=True)

    def on_mount(self) -> None:
        self.query(Button).first().focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        key = (event.button.id or "").removeprefix("choice-")
        self.dismiss(key if key in self._choices else None)


class ProblemsDialog(ErrorBoundary, ModalScreen[None]):
    """The diagnostics of a pipeline file that can't be run."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Close", id="problems.close", tooltip="Go back")
    ]

    def __init__(self, file: str, problems: tuple[Diagnostic, ...]) -> None:
        super().__init__()
        self._file, self._problems = file, problems

    def compose(self) -> ComposeResult:
        errors = sum(problem.severity == "error" for problem in self._problems)
        title = f"{sanitize_label(self._file, 80)}: {errors} problem{'' if errors == 1 else 's'}, nothing was started"
        with Vertical(classes="dialog -large"):
            yield Static(Text(title), classes="dialog-title", markup=False)
            with VerticalScroll(classes="dialog-list"):
                yield Static(self._problem_text(), markup=False)
            yield Static(
                Text(f"{key_label(self.app, 'problems.close', 'Esc')} closes"), classes="dialog-hint", markup=False
            )

    def _problem_text(self) -> Text:
        colours = palette(self.app)
        text = Text()
        for problem in self._problems:
            place = f"{problem.line}:{max(problem.column, 1)}" if problem.line else "file"
            style = colours.error if problem.severity == "error" else colours.warning
            text.append(f"{place:>8}  ", colours.muted)
            text.append(f"{sanitize_label(problem.severity, 10)}  ", style)
            text.append(f"{sanitize_label(problem.message, 500)}\n", colours.plain)
            if problem.hint:
                text.append(f"{'':10}{sanitize_label(problem.hint, 500)}\n", colours.muted)
        return text
