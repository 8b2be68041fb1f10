"""A list with a cursor that draws only visible rows. Subclasses draw the rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from workbench.tui.boundary import PaneBoundary
from workbench.tui.theme import Palette, palette
from workbench.tui.widgets.segments import line


class ListView(PaneBoundary, ScrollView, can_focus=True):
    """Rows of one line, identified by keys; the cursor stays on its key when rows change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="rows.up", tooltip="Go up a row"),
        Binding("down,j", "move(1)", "Down", show=False, id="rows.down", tooltip="Go down a row"),
        Binding("home,g", "jump(0)", "First", show=False, id="rows.first", tooltip="Go to the first row"),
        Binding("end,G", "jump(-1)", "Last", show=False, id="rows.last", tooltip="Go to the last row"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="rows.page-up", tooltip="Go up a page"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="rows.page-down", tooltip="Go down a page"),
        Binding("ctrl+u", "page(-0.5)", "Half up", show=False, id="rows.half-up", tooltip="Go up half a page"),
        Binding("ctrl+d", "page(0.5)", "Half down", show=False, id="rows.half-down", tooltip="Go down half a page"),
        Binding("enter", "open", "Open", id="rows.open", tooltip="Open the selected row"),
    ]

    OPENS: ClassVar[str] = "Open"
    """What the footer calls that which Enter does with a row."""

    ROW_ACTIONS: ClassVar[tuple[str, ...]] = ("open",)
    """Actions on the row under the cursor, which an empty list neither does nor offers."""

    cursor: reactive[str | None] = reactive(None, repaint=False)
    """The key of the row under the cursor."""

    @dataclass
    class CursorMoved(Message):
        """The cursor has moved to another row."""

        list_view: ListView
        key: str

        @property
        def control(self) -> ListView:
            return self.list_view

    @dataclass
    class Opened(Message):
        """A row was chosen with Enter or a second click."""

        list_view: ListView
        key: str

        @property
        def control(self) -> ListView:
            return self.list_view

    _base: Style | None = None
    """The style of the widget, while lines are drawn."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys: list[str] = []
        self._positions: dict[str, int] = {}
        self._drawn: dict[int, tuple[str, Strip]] = {}
        """The row that each line of the widget shows, as it was drawn last."""
        self._drawn_style: Style | None = None
        self._height = 0
        """Rows that were shown since the last resize."""

    @property
    def count(self) -> int:
        return len(self._keys)

    def show_keys(self, keys: list[str]) -> None:
        """Replace the rows."""
        same = keys == self._keys
        place = self._positions.get(self.cursor or "", 0)
        if keys and not self._keys:
            # The list may have been small while it was empty; what the cursor needs is known after the next layout.
            self.call_after_refresh(self._scroll_from_top)
        if bool(keys) != bool(self._keys):
            self.refresh_bindings()
        self._keys = keys
        self._positions = {key: at for at, key in enumerate(keys)}
        # Of any width: one that only fits without the scrollbar at the right would need another below.
        self.virtual_size = Size(1, len(keys))
        if self.cursor not in self._positions:
            self.cursor = keys[min(place, len(keys) - 1)] if keys else None
        if same:
            self.refresh_changed()
        else:
            self.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self._keys and action in self.ROW_ACTIONS:
            return False
        return super().check_action(action, parameters)

    def _scroll_from_top(self) -> None:
        """Scroll no further than the cursor needs."""
        self.scroll_to(y=0, animate=False, immediate=True)
        if self.cursor in self._positions:
            self.scroll_to_region(Region(0, self._position, 1, 1), animate=False, force=True)

    def on_resize(self) -> None:
        """Where the cursor alone has scrolled a list that is larger now, scroll no further than it needs."""
        before, self._height = self._height, self.scrollable_content_region.height
        place = self._position
        if self._height > before and self.scroll_offset.y == max(place - before + 1, 0):
            self.scroll_to(y=max(place - self._height + 1, 0), animate=False, immediate=True)

    def go_to(self, key: str) -> bool:
        """Move the cursor to the row with this key; False if there is none."""
        if key in self._positions:
            self.cursor = key
        return key in self._positions

    def jump_places(self) -> list[tuple[str, Offset]]:
        """The visible rows."""
        first = self.scroll_offset.y
        shown = self._keys[first : first + self.scrollable_content_region.height]
        return [(key, Offset(0, y)) for y, key in enumerate(shown)]

    def jump_to(self, place: str) -> None:
        self.go_to(place)

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        """The row's line, `width` columns, without a background."""
        raise NotImplementedError

    def refresh_rows(self, keys: Iterable[str]) -> None:
        """Draw only these rows anew."""
        for key in keys:
            if key in self._positions:
                self.refresh_line(self._positions[key])

    def refresh_changed(self, keys: Iterable[str] | None = None) -> None:
        """Draw those of these rows anew, by default of all, that are seen and are not as they were drawn last."""
        first = self.scroll_offset.y
        seen = self._keys[first : first + self.size.height]
        asked = frozenset(seen if keys is None else keys)
        try:
            changed = [y for y, key in enumerate(seen) if key in asked and not self._is_drawn(y, key)]
        except Exception:  # Drawing it says what has failed, in place of the rows.
            changed = None
        if changed is None or self._undrawable or self._drawn_style != self.rich_style:
            self.refresh()
            return
        for y in changed:
            self.refresh_line(first + y)

    def _is_drawn(self, y: int, key: str) -> bool:
        return self._drawn.get(y) == (key, self.draw_row(key, self.size.width, palette(self.app)))

    def render_lines(self, crop: Region) -> list[Strip]:
        # Once for all lines: each access goes up all ancestors.
        self._base = self._drawn_style = self.rich_style
        try:
            return super().render_lines(crop)
        finally:
            self._base = None

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self._base or self.rich_style
        at = y + self.scroll_offset.y
        if at >= len(self._keys):
            return Strip.blank(width, base)
        colours, key = palette(self.app), self._keys[at]
        over = None
        if key == self.cursor:
            over = colours.cursor if self.has_focus else colours.cursor_blurred
        row = self.draw_row(key, width, colours)
        self._drawn[y] = key, row
        return line(list(row), width, base, over)

    def watch_cursor(self, old: str | None, new: str | None) -> None:
        if new in self._positions and new is not None and new != old:
            self.scroll_to_region(Region(0, self._positions[new], 1, 1), animate=False, force=True)
            self.post_message(self.CursorMoved(self, new))
        # Only the rows that change: the whole list is drawn anew where it scrolls.
        self.refresh_rows(key for key in (old, new) if key is not None)

    def watch_has_focus(self, focused: bool) -> None:
        super().watch_has_focus(focused)
        self.refresh()

    def action_move(self, step: int) -> None:
        self._move_to(self._position + step)

    def action_jump(self, position: int) -> None:
        self._move_to(position if position >= 0 else len(self._keys) + position)

    def action_page(self, pages: float) -> None:
        self._move_to(self._position + round(pages * max(self.scrollable_content_region.height - 1, 2)))

    def action_open(self) -> None:
        if self.cursor is not None:
            self.post_message(self.Opened(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        at = event.y + self.scroll_offset.y
        if 0 <= at < len(self._keys):
            again = self._keys[at] == self.cursor
            self.cursor = self._keys[at]
            if again and event.chain > 1:
                self.action_open()

    @property
    def _position(self) -> int:
        return self._positions.get(self.cursor or "", 0)

    def _move_to(self, position: int) -> None:
        if self._keys:
            self.cursor = self._keys[min(max(position, 0), len(self._keys) - 1)]
