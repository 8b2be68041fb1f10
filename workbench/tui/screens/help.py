"""Help for the keys of a screen, generated from its bindings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from workbench.report.test_results import SIGNS
from workbench.report.trends import SLOWER_SIGN, sparkline
from workbench.tui.boundary import ErrorBoundary
from workbench.tui.keys import format_keys, key_label
from workbench.tui.services.interfaces import WorkbenchContext
from workbench.tui.theme import ALLOWED_FAILURE_SIGN, ERROR_SIGN, PHASE_SIGNS, WRAP_SIGN, palette
from workbench.tui.widgets.runs_table import RUN_BAR_SIGNS
from workbench.tui.widgets.step_list import BAR_SIGNS, CRITICAL_SIGN

_KEYS_WIDTH = 20
_OUTCOMES = {"error": "error, in the last runs counted as failed"}


class HelpScreen(ErrorBoundary, ModalScreen[None]):
    """Lists the bindings of the screen below and of its widgets."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark,f1", "dismiss", "Close", id="help.close", tooltip="Go back"),
        Binding("down,j", "scroll('down')", "Down", show=False, id="help.down", tooltip="Scroll down"),
        Binding("up,k", "scroll('up')", "Up", show=False, id="help.up", tooltip="Scroll up"),
        Binding("pagedown,ctrl+f,space", "scroll('page_down')", "Page down", show=False, id="help.page-down",
                tooltip="Scroll down a page"),
        Binding("pageup,ctrl+b", "scroll('page_up')", "Page up", show=False, id="help.page-up",
                tooltip="Scroll up a page"),
        Binding("home,g", "scroll('home')", "Top", show=False, id="help.top", tooltip="Go to the top"),
        Binding("end,G", "scroll('end')", "End", show=False, id="help.end", tooltip="Go to the end"),
    ]  # fmt: skip

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._described_screen = screen

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -large"):
            yield Static(Text("Keyboard shortcuts"), classes="dialog-title", markup=False)
            with VerticalScroll(classes="dialog-list"):
                yield Static(self._render_help(), markup=False)
            yield Static(
                Text(f"{key_label(self.app, 'help.close', 'Esc')} closes"), classes="dialog-hint", markup=False
            )

    def action_scroll(self, to: str) -> None:
        getattr(self.query_one(VerticalScroll), f"scroll_{to}")(animate=False)

    def _render_help(self) -> Group:
        colours = palette(self.app)
        parts: list[Text | Table] = []
        for title, bindings in sections(self._described_screen):
            table = Table.grid(padding=(0, 1), expand=True)
            table.add_column(width=_KEYS_WIDTH)
            table.add_column(ratio=1)
            for keys, meaning in bindings:
                table.add_row(Text(f"  {keys}", colours.bold), Text(meaning, colours.plain))
            parts += [Text(title, colours.highlight), table, Text()]
        workbench = cast("WorkbenchContext", self.app)
        durations = sparkline((1.0, 3.0, 2.0), 3, ascii_only=workbench.ascii_only)
        signs = Text("Signs\n  ", colours.highlight)
        for phase in ("Pending", "Running", "Held", "Succeeded", "Failed", "Skipped", "Cancelled"):
            signs.append(f"{PHASE_SIGNS[phase]} ", colours.phase(phase))
            signs.append(f"{phase.lower()}   ", colours.muted)
        signs.append("\n")
        for sign, meaning, style in (
            (ALLOWED_FAILURE_SIGN, "failed, which the pipeline allows", colours.warning),
            (CRITICAL_SIGN, "on the chain of steps that the end of the run waited for", colours.warning),
            ("⇠", "also waits for these steps", colours.faint),
            (ERROR_SIGN, "a line that looks like an error", colours.error),
            (WRAP_SIGN, "goes on with the line above, which is wrapped", colours.faint),
            ("≠", "differs between the two runs", colours.plain),
            ("+ - ~", "files, variables and steps that are new, gone and changed", colours.plain),
            (durations, "durations of the last runs, the longest highest", colours.muted),
            (SLOWER_SIGN, "slower than the last runs", colours.warning),
        ):
            signs.append(f"  {sign} ", style).append(f"{meaning}\n", colours.muted)
        signs.append("Bars of steps\n", colours.highlight)
        for part, sign in BAR_SIGNS.items():
            signs.append(f"  {sign * 3} ", colours.plain).append(f"{part}   ", colours.muted)
        signs.append("\nBars of runs\n", colours.highlight)
        for state, sign in RUN_BAR_SIGNS.items():
            signs.append(f"  {sign * 3} ", colours.plain).append(f"{state}   ", colours.muted)
        signs.append("\nTests\n", colours.highlight)
        for outcome, sign in SIGNS.items():
            signs.append(f"  {sign} ", colours.plain).append(f"{_OUTCOMES.get(outcome, outcome)}   ", colours.muted)
        return Group(*parts, signs)


def sections(screen: Screen[Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """For each part of the screen with keys: its title, and its current keys with their descriptions."""
    found: dict[str, list[tuple[str, str]]] = {}
    for title, _, binding in actions_of(screen):
        found.setdefault(title, []).append((format_keys(screen.app, binding), binding.tooltip))
    return list(found.items())


def actions_of(screen: Screen[Any]) -> Iterator[tuple[str, DOMNode, Binding]]:
    """Each action of the screen once: the title of its widget, the widget, and the binding."""
    seen: set[str] = set()
    for node in (*(() if screen.is_modal else (screen.app,)), screen, *_parts(screen)):
        title = getattr(node, "HELP_TITLE", "Anywhere" if node is screen.app else "This screen")
        for owner in type(node).__mro__:
            for binding in owner.__dict__.get("BINDINGS", ()):
                if isinstance(binding, Binding) and binding.id and binding.tooltip and binding.id not in seen:
                    seen.add(binding.id)
                    yield title, node, binding


def _parts(screen: Screen[Any]) -> list[DOMNode]:
    """The widgets with keys; of several of one class, the focused one or else the one focused last."""
    focused = screen.focused.ancestors_with_self if screen.focused is not None else []
    parts = [node for node in screen.query("*") if hasattr(node, "HELP_TITLE") and (node.can_focus or node.children)]
    first: dict[type, DOMNode] = {}
    for node in parts:
        better = node in focused or any(each.has_class("-active") for each in node.ancestors_with_self)
        if type(node) not in first or better:
            first[type(node)] = node
    return list(first.values())
