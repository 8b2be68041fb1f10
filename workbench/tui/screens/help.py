"""What the keys do here, made from the bindings themselves, so that it is never wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from workbench.tui.theme import SIGNS, palette

_KEYS = 22


class HelpScreen(ModalScreen[None]):
    """The bindings of the screen below and of what is on it."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,question_mark,f1", "dismiss", "Close", id="help.close", tooltip="Back")
    ]

    def __init__(self, about: Screen[object]) -> None:
        super().__init__()
        self._about = about

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -large"):
            yield Static(Text("Keys"), classes="dialog-title", markup=False)
            with VerticalScroll(classes="dialog-list"):
                yield Static(self._text(), markup=False)
            yield Static(Text("Esc closes"), classes="dialog-hint", markup=False)

    def _text(self) -> Text:
        colours, text = palette(self.app), Text()
        for title, bindings in sections(self._about):
            text.append(f"{title}\n", colours.lit)
            for keys, meaning in bindings:
                text.append(f"  {keys:<{_KEYS}}", colours.bold)
                text.append(f"{meaning}\n", colours.plain)
            text.append("\n")
        text.append("Signs\n  ", colours.lit)
        for phase in ("Pending", "Running", "Succeeded", "Failed", "Skipped", "Cancelled"):
            text.append(f"{SIGNS[phase]} ", colours.phase(phase))
            text.append(f"{phase.lower()}   ", colours.muted)
        return text


def sections(screen: Screen[object]) -> list[tuple[str, list[tuple[str, str]]]]:
    """For each part of the screen that has keys: its title, and its keys with what they do."""
    found: dict[str, list[tuple[str, str]]] = {}
    seen: set[str] = set()
    for node in (screen.app, screen, *_parts(screen)):
        title = getattr(node, "HELP_TITLE", "Anywhere" if node is screen.app else "This screen")
        for owner in type(node).__mro__:
            for binding in owner.__dict__.get("BINDINGS", ()):
                if isinstance(binding, Binding) and binding.id and binding.tooltip and binding.id not in seen:
                    seen.add(binding.id)
                    keys = " ".join(screen.app.get_key_display(part) for part in Binding.make_bindings([binding]))
                    found.setdefault(title, []).append((keys, binding.tooltip))
    return list(found.items())


def _parts(screen: Screen[object]) -> Iterable[DOMNode]:
    return (node for node in screen.query("*") if hasattr(node, "HELP_TITLE") and (node.can_focus or node.children))
