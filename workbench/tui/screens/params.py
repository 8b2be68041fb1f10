"""Asks for a pipeline's parameters before a run, and says what a resumed run would reuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Select, Static

from workbench.pipeline_file.load import ParameterError, resolve_params
from workbench.report.reuse_forecast import ReuseForecast
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import ErrorBoundary
from workbench.tui.theme import palette

Forecaster = Callable[[Mapping[str, str]], ReuseForecast]
"""Returns what a run with these parameters would reuse."""
_MAX_AGAIN = 8
"""Maximum number of steps that run again whose reasons are shown."""


class ParamsDialog(ErrorBoundary, ModalScreen[dict[str, str] | None]):
    """Returns the values, or None if the user cancels. Fields start with the defaults.

    `previous` are the values of the last run; `forecast` is given for a run that may reuse steps of an earlier one.
    """

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "run", "Run", id="params.run", tooltip="Run with these values"),
        Binding("escape", "dismiss(None)", "Back", id="params.back", tooltip="Don't run"),
    ]

    def __init__(
        self, definition: Mapping[str, Any], previous: Mapping[str, str], forecast: Forecaster | None = None
    ) -> None:
        super().__init__()
        self._definition, self._previous, self._forecast = definition, previous, forecast

    @property
    def _params(self) -> Sequence[Mapping[str, Any]]:
        params: Sequence[Mapping[str, Any]] = self._definition.get("params") or ()
        return params

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(
                Text(f"Run {sanitize_label(str(self._definition['name']), 60)}"), classes="dialog-title", markup=False
            )
            with VerticalScroll(classes="dialog-list"):
                for number, param in enumerate(self._params):
                    yield Static(self._caption(param), classes="dialog-caption", markup=False)
                    yield self._field(param, f"param-{number}")
                # With the fields: the buttons below stay visible in small terminals.
                yield Static(id="params-forecast", classes="dialog-caption", markup=False)
            yield Static(id="params-wrong", classes="dialog-error", markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button("Back", id="back", compact=True)
                yield Button("Run", id="run", variant="primary", compact=True)

    def _caption(self, param: Mapping[str, Any]) -> Text:
        text = Text(sanitize_label(param["name"], 60), "bold")
        if param.get("description"):
            text.append(f"  {sanitize_label(str(param['description']), 120)}", "not bold dim")
        return text

    def _field(self, param: Mapping[str, Any], key: str) -> Input | Select[str]:
        value = self._previous.get(param["name"], param.get("default"))
        options = [str(option) for option in param.get("options") or ()]
        if not options:
            return Input(value or "", id=key, compact=True)
        shown = [(sanitize_label(option, 60), option) for option in options]
        return Select(shown, value=value if value in options else options[0], id=key, allow_blank=False, compact=True)

    def on_mount(self) -> None:
        self.query_one("#param-0" if self._params else "#run").focus()
        self._show_forecast()

    @on(Input.Changed)
    @on(Select.Changed)
    def _show_forecast(self) -> None:
        """Say what would be reused with the values that are entered now."""
        shown = self.query_one("#params-forecast", Static)
        shown.display = self._forecast is not None
        if self._forecast is None:
            return
        found, colours = self._forecast(self._values()), palette(self.app)
        text = Text(str(found), colours.success if found.reused else colours.warning)
        if found.again:
            text.append("\nRuns again:", colours.muted)
        for line in found.lines(_MAX_AGAIN):
            text.append(f"\n  {sanitize_label(line, 300)}", colours.plain)
        shown.update(text)

    @on(Input.Submitted)
    def action_run(self) -> None:
        values = self._values()
        try:
            resolve_params(self._definition, values)
        except ParameterError as error:
            self.query_one("#params-wrong", Static).update(Text(sanitize_label(str(error), 300)))
            return
        self.dismiss(values)

    @on(Button.Pressed)
    def _button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "run":
            self.action_run()
        else:
            self.dismiss(None)

    def _values(self) -> dict[str, str]:
        """The entered values; an empty field means the default, if there is one."""
        values: dict[str, str] = {}
        for number, param in enumerate(self._params):
            field = self.query_one(f"#param-{number}")
            value = field.value if isinstance(field, (Input, Select)) else ""
            if value or "default" not in param:
                values[param["name"]] = str(value)
        return {name: value for name, value in values.items() if value}
