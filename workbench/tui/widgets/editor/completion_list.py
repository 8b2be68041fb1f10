"""The completion popup at the cursor. It never takes the focus."""

from __future__ import annotations

from rich.segment import Segment
from textual.geometry import Offset, Size
from textual.strip import Strip

from workbench.pipeline_file.completion import CompletionItem, CompletionList
from workbench.text.sanitize import sanitize_label
from workbench.text.width import cell_width
from workbench.tui.theme import Palette
from workbench.tui.widgets.list_view import ListView

_MAX_ROWS = 8
_MAX_WIDTH = 110


class CompletionPopup(ListView, can_focus=False):
    """Rows with a label and its description."""

    HELP_TITLE = "Completion"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._items: dict[str, CompletionItem] = {}
        self._label_width = 0

    @property
    def selected(self) -> CompletionItem | None:
        return self._items.get(self.cursor or "")

    def show_completions(self, completions: CompletionList, cursor: Offset, screen: Size) -> None:
        """Show completions below the cursor, or above it if there is no space below."""
        self._items = {choice.label: choice for choice in completions.items}
        self.cursor = None
        self.show_keys(list(self._items))
        self.display = bool(self._items)
        if not self._items:
            return
        self._label_width = max(cell_width(sanitize_label(name, 40)) for name in self._items)
        abouts = max(cell_width(choice.description) for choice in self._items.values())
        width = min(self._label_width + 4 + abouts, _MAX_WIDTH, screen.width)
        height = min(len(self._items), _MAX_ROWS)
        self.styles.width, self.styles.height = width, height
        below = cursor.y + 1
        top = below if below + height <= screen.height else max(0, cursor.y - height)
        self.styles.offset = (max(0, min(cursor.x, screen.width - width)), top)

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        choice = self._items[key]
        name = sanitize_label(choice.label, 40)
        pad = " " * (self._label_width - cell_width(name))
        room = max(0, width - self._label_width - 4)
        return Strip(
            [
                Segment(f" {name}{pad}", colours.bold),
                Segment(f"  {sanitize_label(choice.description, room)}", colours.muted),
            ]
        )
