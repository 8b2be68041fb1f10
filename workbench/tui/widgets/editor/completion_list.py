"""The list of what could be written, over the text at the cursor. It never takes the focus."""

from __future__ import annotations

from rich.segment import Segment
from textual.geometry import Offset, Size
from textual.strip import Strip

from workbench.pipeline_file.completion import Choice, Choices
from workbench.text.sanitize import label
from workbench.text.width import cell_width
from workbench.tui.theme import Palette
from workbench.tui.widgets.list_view import Rows

_ROWS = 8
_WIDEST = 110


class ChoiceList(Rows, can_focus=False):
    """Rows of label and explanation."""

    HELP_TITLE = "Completion"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._choices: dict[str, Choice] = {}
        self._labels = 0

    @property
    def selected(self) -> Choice | None:
        return self._choices.get(self.cursor or "")

    def show_choices(self, choices: Choices, cursor: Offset, screen: Size) -> None:
        """Show these below the cursor, or above it where there is no room below."""
        self._choices = {choice.label: choice for choice in choices.items}
        self.cursor = None
        self.show_keys(list(self._choices))
        self.display = bool(self._choices)
        if not self._choices:
            return
        self._labels = max(cell_width(label(name, 40)) for name in self._choices)
        abouts = max(cell_width(choice.about) for choice in self._choices.values())
        width = min(self._labels + 4 + abouts, _WIDEST, screen.width)
        height = min(len(self._choices), _ROWS)
        self.styles.width, self.styles.height = width, height
        below = cursor.y + 1
        top = below if below + height <= screen.height else max(0, cursor.y - height)
        self.styles.offset = (max(0, min(cursor.x, screen.width - width)), top)

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        choice = self._choices[key]
        name = label(choice.label, 40)
        pad = " " * (self._labels - cell_width(name))
        room = max(0, width - self._labels - 4)
        return Strip(
            [
                Segment(f" {name}{pad}", colours.bold),
                Segment(f"  {label(choice.about, room)}", colours.muted),
            ]
        )
