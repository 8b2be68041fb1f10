"""A text that is scrolled by the keys that move the cursor of a list.

Textual's own scrolling widgets know the arrows only, and take left and right also where nothing is beside the text.
"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from workbench.tui.boundary import PaneBoundary


class TextPane(PaneBoundary, VerticalScroll, can_focus=True, inherit_bindings=False):
    """Scrolls what it contains."""

    HELP_TITLE: ClassVar[str] = "Text"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False, id="text.up", tooltip="Scroll up"),
        Binding("down,j", "scroll_down", "Down", show=False, id="text.down", tooltip="Scroll down"),
        Binding("home,g", "scroll_home", "Top", show=False, id="text.top", tooltip="Go to the top"),
        Binding("end,G", "scroll_end", "End", show=False, id="text.end", tooltip="Go to the end"),
        Binding("pageup,ctrl+b", "page_up", "Page up", show=False, id="text.page-up", tooltip="Scroll up a page"),
        Binding("pagedown,ctrl+f,space", "page_down", "Page down", show=False, id="text.page-down",
                tooltip="Scroll down a page"),
        Binding("ctrl+u", "half_page(-1)", "Half up", show=False, id="text.half-up", tooltip="Scroll up half a page"),
        Binding("ctrl+d", "half_page(1)", "Half down", show=False, id="text.half-down",
                tooltip="Scroll down half a page"),
    ]  # fmt: skip

    def action_half_page(self, direction: int) -> None:
        self.scroll_relative(y=direction * max(self.size.height // 2, 1), animate=False)
