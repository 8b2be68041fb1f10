"""The steps of a run as a drawing: status by sign and colour, the selected step's ancestors and descendants lit."""

from __future__ import annotations

from collections.abc import Iterable
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

from workbench.client.models import Run, Step
from workbench.dag import Box, Drawing, layout, listed
from workbench.tui.theme import Palette, palette, sign
from workbench.tui.widgets.dag.model import DagSteps
from workbench.tui.widgets.segments import line

_GAPS = (6, 4, 3, 2, 1)
"""Cells between layers, tried in turn until the drawing fits."""
_ROOMY = 60
"""Boxes up to which a drawing is tried in several widths."""
_NARROW = 80
"""Columns below which a drawing that is far too wide becomes a list."""
_FAR_TOO_WIDE = 1.25


class DagView(ScrollView, can_focus=True):
    """Laid out when the steps, the groups that are open or the room change; a change of status only recolours."""

    HELP_TITLE: ClassVar[str] = "Graph"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "go('left')", "Before", show=False, id="dag.left", tooltip="A step this one waits for"),
        Binding("right,l", "go('right')", "After", show=False, id="dag.right", tooltip="A step that waits for it"),
        Binding("up,k", "go('up')", "Above", show=False, id="dag.up", tooltip="The step above"),
        Binding("down,j", "go('down')", "Below", show=False, id="dag.down", tooltip="The step below"),
        Binding("enter", "open", "Log", show=False, id="dag.open", tooltip="To the log of this step"),
        Binding("space", "fold", "Fold", show=False, id="dag.fold", tooltip="Open or close the steps of a matrix"),
        Binding("z", "fold_all", "Fold all", show=False, id="dag.fold-all", tooltip="Open or close all matrices"),
        Binding("v", "turn", "List", show=False, id="dag.form", tooltip="As a list, and as a drawing again"),
    ]

    selected: reactive[str | None] = reactive(None)
    """The name of the step that is selected; in a closed group, one of its steps."""

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
        """The selected step was chosen with Enter or a second click."""

        view: DagView
        name: str

        @property
        def control(self) -> DagView:
            return self.view

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown = DagSteps()
        self._drawing: Drawing | None = None
        self._shape: object = None
        self._listed: bool | None = None
        """Whether it is a list; None: as there is room."""
        self._by_line: dict[int, list[Box]] = {}
        self._lit: dict[tuple[int, int], str] = {}
        self._kin: frozenset[str] = frozenset()

    @property
    def form(self) -> str:
        """`list` or `drawing` when somebody chose it, else `auto`: as there is room."""
        return "auto" if self._listed is None else "list" if self._listed else "drawing"

    @form.setter
    def form(self, form: str) -> None:
        self._listed = {"list": True, "drawing": False}.get(form)
        self._lay_out()

    def show_run(self, run: Run) -> None:
        """Draw this run; when its steps are those of before, only their colours change."""
        self.show_steps(run.steps)

    def show_steps(self, steps: Iterable[Step]) -> None:
        """Draw these steps."""
        self._shown.show(steps)
        if self.selected not in self._shown.steps:
            self.set_reactive(DagView.selected, None)
        self._lay_out()
        self.refresh()

    def box_of(self, name: str) -> Box | None:
        """Where a step is drawn, alone or with its group; None before there was room."""
        home = self._shown.folded.home.get(name)
        return self._drawing.boxes.get(home) if self._drawing is not None and home is not None else None

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        room = self.size.width - 2
        nodes, edges, widths = self._shown.folded.nodes, self._shown.folded.edges, self._shown.widths()
        shape = (room, nodes, edges, tuple(widths.values()), self._listed)
        if room <= 0 or shape == self._shape:
            return
        self._shape = shape
        drawing = None
        if not self._listed:
            for gap in _GAPS if len(nodes) <= _ROOMY else _GAPS[-1:]:
                drawing = layout(nodes, edges, widths=widths, gap=gap)
                if drawing.width <= room:
                    break
        if drawing is None or (self._listed is None and drawing.width > room * _FAR_TOO_WIDE and room < _NARROW):
            drawing = listed(nodes, edges, widths=widths, titles=self._shown.titles())
        self._drawing, self._by_line = drawing, {}
        for box in drawing.boxes.values():
            self._by_line.setdefault(box.y, []).append(box)
        for boxes in self._by_line.values():
            boxes.sort(key=lambda box: box.x)
        self.virtual_size = Size(drawing.width + 2, drawing.height)
        self._light()
        # A step may be selected before there is a drawing, and the widget can't scroll before it has its new size.
        self.call_after_refresh(self._show_selected)

    def _light(self) -> None:
        self._lit, self._kin = {}, frozenset()
        home = self._shown.folded.home.get(self.selected or "")
        if self._drawing is not None and home is not None and home in self._drawing.boxes:
            self._kin, edges = self._drawing.lineage(home)
            self._lit = self._drawing.cells(edges)
        self.refresh()

    def watch_selected(self) -> None:
        self._light()
        self._show_selected()

    def _show_selected(self) -> None:
        box = self.box_of(self.selected) if self.selected is not None else None
        if box is not None:
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
        phase, allowed = self._shown.phase(box.name)
        style, plain, chosen = colours.phase(phase, allowed=allowed), colours.plain, False
        if self.selected is not None:
            chosen = self._shown.folded.home.get(self.selected) == box.name
            plain = plain if chosen or box.name in self._kin else colours.muted
        segments = [Segment(f"{sign(phase, allowed=allowed)} ", style)]
        segments.append(Segment(self._shown.title(box.name), colours.bold if chosen else plain))
        segments += self._shown.counts(box.name, colours)
        used = sum(segment.cell_length for segment in segments)
        segments.append(Segment(" " * (box.width - used)))
        if not chosen:
            return segments
        over = colours.cursor if self.has_focus else colours.cursor_blurred
        return [Segment(text, (style or colours.plain) + over) for text, style, _ in segments if text]

    def action_go(self, direction: str) -> None:
        if self._drawing is None or not self._drawing.boxes:
            return
        home = self._shown.folded.home.get(self.selected or "")
        other: str | None = next(iter(self._drawing.boxes))
        if home is not None:
            other = self._drawing.neighbour(home, direction)
        if other is not None:
            self._select(self._shown.speaker(other))

    def action_open(self) -> None:
        if self.selected is not None:
            self.post_message(self.Opened(self, self.selected))

    def action_fold(self) -> None:
        """Open or close the group of the selected step."""
        if self.selected is not None and self._shown.turn(self.selected):
            self._lay_out()

    def action_fold_all(self) -> None:
        """Open all groups; when all are open, close them."""
        if self._shown.turn_all():
            self._lay_out()

    def action_turn(self) -> None:
        """Between the drawing and the list."""
        now = self._drawing is not None and bool(self._drawing.boxes) and not self._drawing.paths
        self._listed = not now if self._listed is None else not self._listed
        self._lay_out()

    def on_click(self, event: events.Click) -> None:
        if self._drawing is None:
            return
        box = self._drawing.at(event.x - 1 + self.scroll_offset.x, event.y + self.scroll_offset.y)
        if box is None:
            return
        again = self._shown.folded.home.get(self.selected or "") == box
        self._select(self._shown.speaker(box))
        if again and event.chain > 1:
            if self._shown.is_group(box):
                self.action_fold()
            else:
                self.action_open()

    def _select(self, name: str) -> None:
        self.selected = name
        self.post_message(self.Selected(self, name))
