"""A row of tabs. What each shows is up to its screen.

Textual's own tabs find their parts by queries, and fail when a screen is opened or closed just then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.segment import Segment
from textual import events
from textual.geometry import Offset
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from workbench.text.width import cell_width
from workbench.tui.boundary import PaneBoundary
from workbench.tui.theme import palette
from workbench.tui.widgets.segments import line

_GAP = 2


class TabBar(PaneBoundary, Widget):
    """One tab is always active. It takes no focus, which belongs to what the tab shows."""

    active: reactive[str] = reactive("")
    """The key of the active tab."""

    @dataclass
    class Activated(Message):
        """Another tab is active."""

        key: str

    def __init__(self, titles: Mapping[str, str], active: str, *, id: str | None = None) -> None:
        """`titles` are the printable names of the tabs by their keys; `active` is one of the keys."""
        super().__init__(id=id)
        self._titles = dict(titles)
        self.set_reactive(TabBar.active, active if active in self._titles else next(iter(self._titles)))

    def validate_active(self, active: str) -> str:
        return active if active in self._titles else self.active

    def watch_active(self, active: str) -> None:
        self.post_message(self.Activated(active))

    def go(self, step: int) -> None:
        """Go to the tab that is so many further, and after the last to the first."""
        keys = list(self._titles)
        self.active = keys[(keys.index(self.active) + step) % len(keys)]

    def jump_places(self) -> list[tuple[str, Offset]]:
        """The tabs."""
        return [(key, Offset(start, 0)) for key, start, _ in self._places()]

    def jump_to(self, place: str) -> None:
        self.active = place

    def on_click(self, event: events.Click) -> None:
        for key, start, end in self._places():
            if start <= event.x < end:
                self.active = key

    def _places(self) -> list[tuple[str, int, int]]:
        """The first and the end column of each tab."""
        places, at = [], 1
        for key, title in self._titles.items():
            end = at + cell_width(title) + 2
            places.append((key, at, end))
            at = end + _GAP
        return places

    def render_line(self, y: int) -> Strip:
        colours = palette(self.app)
        segments, at = [], 0
        for key, start, end in self._places():
            chosen = key == self.active
            style = colours.bold if chosen else colours.muted
            if chosen:
                style += colours.cursor
            segments += [Segment(" " * (start - at)), Segment(f" {self._titles[key]} ", style)]
            at = end
        return line(segments, self.size.width, self.rich_style)
