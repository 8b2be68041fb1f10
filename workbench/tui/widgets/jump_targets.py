"""The places of a screen that can be jumped to: widgets with a focus, and visible rows, steps and tabs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol, runtime_checkable

from textual.geometry import Offset
from textual.screen import Screen
from textual.widget import Widget

from workbench.tui.widgets.tab_bar import TabBar

_LETTERS = "asdfghjklqwertyuiopzxcvbnm"
"""In the order in which they are given: those that need no move of the hand first."""
_MAX_TARGETS = len(_LETTERS) ** 2


@runtime_checkable
class Jumpable(Protocol):
    """A widget with several places to jump to."""

    def jump_places(self) -> Sequence[tuple[str, Offset]]:
        """The visible places: a key, and where it is within the widget."""
        ...

    def jump_to(self, place: str) -> None:
        """Go to a place."""
        ...


@dataclass(frozen=True)
class JumpTarget:
    """A place on the screen. `place` is a place of the widget, or None for the widget itself."""

    widget: Widget
    place: str | None
    at: Offset

    def jump(self) -> None:
        """Go there, if it still exists."""
        if not self.widget.is_attached:
            return
        self.widget.focus()
        if self.place is not None and isinstance(self.widget, Jumpable):
            self.widget.jump_to(self.place)


def jump_targets(screen: Screen[object]) -> list[JumpTarget]:
    """What can be jumped to, from the top to the bottom and from left to right; each position once."""
    found: dict[Offset, JumpTarget] = {}
    for target in _targets(screen):
        if screen.region.contains_point(target.at):
            found.setdefault(target.at, target)
    return sorted(found.values(), key=lambda each: (each.at.y, each.at.x))[:_MAX_TARGETS]


def _targets(screen: Screen[object]) -> Iterator[JumpTarget]:
    for widget in screen.query("*"):
        if not widget.visible or not widget.region or widget.is_disabled:
            continue
        if widget.focusable or isinstance(widget, TabBar):
            places = widget.jump_places() if isinstance(widget, Jumpable) else ()
            for place, at in places:
                yield JumpTarget(widget, place, widget.region.offset + at)
            if not places:
                yield JumpTarget(widget, None, widget.region.offset)


def labels(count: int) -> list[str]:
    """As many labels of one letter, or if that is not enough, of two letters."""
    if count <= len(_LETTERS):
        return list(_LETTERS[:count])
    return ["".join(pair) for pair in product(_LETTERS, repeat=2)][:count]
