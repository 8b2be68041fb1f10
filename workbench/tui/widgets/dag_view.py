"""The steps of a run as a drawing: status by sign and colour, the selected step's ancestors and descendants lit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from workbench.client.views import Run, Step
from workbench.core.dag import Box, Drawing, layout
from workbench.core.text import label
from workbench.core.width import cell_width
from workbench.tui.theme import Palette, palette, sign
from workbench.tui.widgets.painting import line

_NAME = 28
_GAPS = (6, 4, 3, 2, 1)
"""Cells between layers, tried in turn until the drawing fits."""
_ROOMY = 60
"""Steps up to which a drawing is tried in several widths."""


class DagView(ScrollView, can_focus=True):
    """Laid out when the steps or the room change; a change of status only recolours."""

    HELP_TITLE: ClassVar[str] = "Graph"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "go('left')", "Before", show=False, id="dag.left", tooltip="A step this one waits for"),
        Binding("right,l", "go('right')", "After", show=False, id="dag.right", tooltip="A step that waits for it"),
        Binding("up,k", "go('up')", "Above", show=False, id="dag.up", tooltip="The step above"),
        Binding("down,j", "go('down')", "Below", show=False, id="dag.down", tooltip="The step below"),
        Binding("enter", "open", "Log", show=False, id="dag.open", tooltip="To the log of this step"),
    ]

    selected: reactive[str | None] = reactive(None)
    """The name of the step that is selected."""

    @dataclass
    class Selected(Message):
        """Another step was selected by key or mouse."""

        view: DagView
        name: str

        @property
        def control(self) -> DagView:
            return self.view

    @dataclass
    class Opened(Message):
        """The selected step was chosen with Enter."""

        view: DagView
        name: str

        @property
        def control(self) -> DagView:
            return self.view

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._steps: Mapping[str, Step] = {}
        self._drawing: Drawing | None = None
        self._shape: object = None
        self._by_line: dict[int, list[Box]] = {}
        self._lit: dict[tuple[int, int], str] = {}
        self._kin: frozenset[str] = frozenset()

    def show_run(self, run: Run) -> None:
        """Draw this run; when its steps are those of before, only their colours change."""
        self.show_steps(run.steps)

    def show_steps(self, steps: Iterable[Step]) -> None:
        """Draw these steps."""
        self._steps = {step.name: step for step in steps}
        if self.selected not in self._steps:
            self.set_reactive(DagView.selected, None)
        self._lay_out()
        self.refresh()

    @property
    def needed_height(self) -> int:
        """Lines the drawing takes."""
        return self._drawing.height if self._drawing is not None else 0

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        room = self.size.width - 2
        shape = (room, tuple((step.name, step.depends_on) for step in self._steps.values()))
        if room <= 0 or shape == self._shape:
            return
        self._shape = shape
        edges = [(before, step.name) for step in self._steps.values() for before in step.depends_on]
        widths = {name: cell_width(label(name, _NAME)) for name in self._steps}
        for gap in _GAPS if len(self._steps) <= _ROOMY else _GAPS[-1:]:
            drawing = layout(list(self._steps), edges, widths=widths, gap=gap)
            if drawing.width <= room:
                break
        self._drawing, self._by_line = drawing, {}
        for box in drawing.boxes.values():
            self._by_line.setdefault(box.y, []).append(box)
        for boxes in self._by_line.values():
            boxes.sort(key=lambda box: box.x)
        self.virtual_size = Size(drawing.width + 2, drawing.height)
        self._light()

    def _light(self) -> None:
        self._lit, self._kin = {}, frozenset()
        if self._drawing is not None and self.selected is not None and self.selected in self._drawing.boxes:
            self._kin, edges = self._drawing.lineage(self.selected)
            self._lit = self._drawing.cells(edges)
        self.refresh()

    def watch_selected(self, name: str | None) -> None:
        self._light()
        if self._drawing is not None and name is not None and name in self._drawing.boxes:
            box = self._drawing.boxes[name]
            self.scroll_to_region(Region(box.x, box.y, box.width + 2, 1), animate=False, force=True)

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        left, at = self.scroll_offset.x, y + self.scroll_offset.y
        if self._drawing is None or at >= self._drawing.height:
            return Strip.blank(width, base)
        strip = Strip(self._segments(self._drawing, at, palette(self.app)))
        strip = line(list(strip), max(self._drawing.width + 2, width), base)
        return strip.crop_extend(left, left + width, base)

    def _segments(self, drawing: Drawing, y: int, colours: Palette) -> list[Segment]:
        segments, x = [Segment(" ")], 0
        for box in self._by_line.get(y, []):
            segments += self._lines(drawing, x, box.x, y, colours)
            segments += self._box(box, colours)
            x = box.x + box.width
        return segments + self._lines(drawing, x, drawing.width, y, colours)

    def _lines(self, drawing: Drawing, start: int, end: int, y: int, colours: Palette) -> list[Segment]:
        """The cells between two boxes, in runs of one style."""
        text, segments = drawing.lines[y], []
        x = start
        while x < end:
            lit = (x, y) in self._lit
            until = x + 1
            while until < end and ((until, y) in self._lit) == lit:
                until += 1
            run = "".join(self._lit[at, y] for at in range(x, until)) if lit else text[x:until]
            segments.append(Segment(run, colours.lit if lit else colours.line))
            x = until
        return segments

    def _box(self, box: Box, colours: Palette) -> list[Segment]:
        step = self._steps[box.name]
        phase = colours.phase(step.phase, allowed=step.allow_failure)
        plain = colours.plain
        if self.selected is not None and box.name not in self._kin and box.name != self.selected:
            plain = colours.muted
        name = label(box.name, _NAME)
        if box.name == self.selected:
            over = colours.cursor if self.has_focus else colours.cursor_blurred
            return [Segment(f"{sign(step.phase)} ", phase + over), Segment(name, colours.bold + over)]
        return [Segment(f"{sign(step.phase)} ", phase), Segment(name, plain)]

    def action_go(self, direction: str) -> None:
        if self._drawing is None or not self._drawing.boxes:
            return
        if self.selected is None:
            other: str | None = next(iter(self._drawing.boxes))
        else:
            other = self._drawing.neighbour(self.selected, direction)
        if other is not None:
            self._select(other)

    def action_open(self) -> None:
        if self.selected is not None:
            self.post_message(self.Opened(self, self.selected))

    def on_click(self, event: events.Click) -> None:
        if self._drawing is None:
            return
        name = self._drawing.at(event.x - 1 + self.scroll_offset.x, event.y + self.scroll_offset.y)
        if name is not None:
            self._select(name)

    def _select(self, name: str) -> None:
        self.selected = name
        self.post_message(self.Selected(self, name))
