"""The bar with the hint of the tour: in the layout of a screen, so that it covers nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rich.text import Text
from textual.widgets import Static

from workbench.tui.boundary import ErrorBoundary
from workbench.tui.theme import palette

_KEY = re.compile("`([^`]*)`")


@dataclass(frozen=True)
class BarText:
    """What the bar says. Keys in `text` are between backticks; `below` is the line under it."""

    text: str
    below: str


class TourBar(ErrorBoundary, Static):
    """Shows a hint above the keys of a screen, or at the bottom of a question."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    TourBar {
        height: auto;
        width: 1fr;
        padding: 0 1;
        background: $panel;
        border-left: outer $accent;
    }
    TourBar.-docked {
        dock: bottom;
    }
    """

    def __init__(self, *, docked: bool = False) -> None:
        super().__init__(markup=False, classes="-docked" if docked else None)
        self._said: BarText | None = None

    @property
    def said(self) -> BarText | None:
        return self._said

    def say(self, said: BarText | None) -> None:
        """Show this, or nothing."""
        if said == self._said:
            return
        self._said = said
        self.display = said is not None
        if said is not None:
            self.update(self._draw(said))

    def _draw(self, said: BarText) -> Text:
        colours = palette(self.app)
        text = Text()
        for at, part in enumerate(_KEY.split(said.text)):
            text.append(part, colours.highlight if at % 2 else colours.plain)
        return text.append(f"\n{said.below}", colours.muted)
