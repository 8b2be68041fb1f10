"""The graph of a run; ancestors and descendants of the selected step are highlighted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from workbench.client.models import Run, Step
from workbench.dag import Box, Drawing, draw_outline, layout
from workbench.tui.boundary import PaneBoundary
from workbench.tui.theme import Palette, palette, phase_sign
from workbench.tui.widgets.dag.model import DagSteps
from workbench.tui.widgets.segments import line

_LAYER_GAPS = (6, 4, 3, 2, 1)
"""Gaps between layers, tried in order until the drawing fits."""
_MAX_RETRIED_BOXES = 60
"""Boxes up to which several gaps are tried."""
_NARROW_COLUMNS = 80
"""Columns below which a drawing that is much too wide becomes a list."""
_MAX_OVERFLOW = 1.25


class DagView(PaneBoundary, ScrollView, can_focus=True):
    """Lays out the graph when steps, folded groups or the width change; a new phase only changes colours."""

    HELP_TITLE: ClassVar[str] = "Graph"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "left,h", "go('left')", "Before", show=False, id="dag.left", tooltip="Go to a step this one depends on"
        ),
        Binding(
            "right,l",
            "go('right')",
            "After",
            show=False,
            id="dag.right",
            tooltip="Go to a step that depends on this one",
        ),
        Binding("up,k", "go('up')", "Above", show=False, id="dag.up", tooltip="Go to the step above"),
        Binding("down,j", "go('down')", "Below", show=False, id="dag.down", tooltip="Go to the step below"),
        Binding("enter", "open", "Log", show=False, id="dag.open", tooltip="Go to the step's log"),
        Binding("space,z", "fold", "Fold", show=False, id="dag.fold", tooltip="Fold or unfold the steps of a matrix"),
        Binding("Z", "fold_all", "Fold all", show=False, id="dag.fold-all", tooltip="Fold or unfold all matrices"),
        Binding("v", "turn", "List", show=False, id="dag.form", tooltip="Switch between drawing and list"),
    ]

    selected: reactive[str | None] = reactive(None)
    """The name of the selected step; of a folded group, one of its steps."""

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
        self._model = DagSteps()
        self._drawing: Drawing | None = None
        self._layout_key: object = None
        self._as_list: bool | None = None
        """Whether to show a list; None decides by the width."""
        self._by_line: dict[int, list[Box]] = {}
        self._highlighted_cells: dict[tuple[int, int], str] = {}
        self._related_boxes: frozenset[str] = frozenset()
        self._look: object = None
        """What is drawn of the steps."""

    @property
    def form(self) -> str:
        """`list` or `drawing` if the user has chosen one, else `auto`."""
        return "auto" if self._as_list is None else "list" if self._as_list else "drawing"

    @form.setter
    def form(self, form: str) -> None:
        self._as_list = {"list": True, "drawing": False}.get(form)
        self._update_drawing()

    def show_run(self, run: Run) -> None:
        """Draw a run; if its steps are the same, only colours change."""
        self.show_steps(run.steps)

    def show_steps(self, steps: Iterable[Step]) -> None:
        """Draw these steps."""
        steps = tuple(steps)
        self._model.show(steps)
        if self.selected not in self._model.steps:
            self.set_reactive(DagView.selected, None)
        self._update_drawing()
        look = (
            self.app.theme,
            [(step.name, step.depends_on, step.phase, step.state, step.allow_failure) for step in steps],
        )
        if look != self._look or self._undrawable:
            self._look = look
            self.refresh()

    def box_of(self, name: str) -> Box | None:
        """The box of a step or of its group; None before the first layout."""
        home = self._model.grouped.node_of.get(name)
        return self._drawing.boxes.get(home) if self._drawing is not None and home is not None else None

    def jump_places(self) -> list[tuple[str, Offset]]:
        """The visible boxes."""
        boxes = self._drawing.boxes.values() if self._drawing is not None else ()
        visible = self.scrollable_content_region.size.region
        # One column further right than their layout, as they are drawn.
        places = ((box.name, Offset(box.x + 1, box.y) - self.scroll_offset) for box in boxes)
        return [(name, at) for name, at in places if visible.contains_point(at)]

    def jump_to(self, place: str) -> None:
        if self._drawing is not None and place in self._drawing.boxes:
            self._select(self._model.representative(place))

    def on_resize(self) -> None:
        self._update_drawing()

    def _update_drawing(self) -> None:
        room = self.size.width - 2
        nodes, edges, widths = self._model.grouped.nodes, self._model.grouped.edges, self._model.widths()
        shape = (room, nodes, edges, tuple(widths.values()), self._as_list)
        if shape == self._layout_key:
            return
        if room <= 0:
            # Nothing may be drawn from a layout of other steps; `on_resize` makes one as soon as there is space.
            self._drawing, self._layout_key, self._by_line = None, None, {}
            return
        self._layout_key = shape
        drawing = None
        if not self._as_list:
            for gap in _LAYER_GAPS if len(nodes) <= _MAX_RETRIED_BOXES else _LAYER_GAPS[-1:]:
                drawing = layout(nodes, edges, widths=widths, gap=gap)
                if drawing.width <= room:
                    break
        if drawing is None or (
            self._as_list is None and drawing.width > room * _MAX_OVERFLOW and room < _NARROW_COLUMNS
        ):
            drawing = draw_outline(nodes, edges, widths=widths, titles=self._model.titles())
        self._drawing, self._by_line = drawing, {}
        for box in drawing.boxes.values():
            self._by_line.setdefault(box.y, []).append(box)
        for boxes in self._by_line.values():
            boxes.sort(key=lambda box: box.x)
        self.virtual_size = Size(drawing.width + 2, drawing.height)
        self._update_highlight()
        # A step may be selected before the first layout, and scrolling needs the new size.
        self.call_after_refresh(self._show_selected)

    def _update_highlight(self) -> None:
        self._highlighted_cells, self._related_boxes = {}, frozenset()
        home = self._model.grouped.node_of.get(self.selected or "")
        if self._drawing is not None and home is not None and home in self._drawing.boxes:
            self._related_boxes, edges = self._drawing.lineage(home)
            self._highlighted_cells = self._drawing.cells(edges)
        self.refresh()

    def watch_selected(self) -> None:
        self._update_highlight()
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
        strip = Strip(self._row_segments(self._drawing, at, palette(self.app)))
        strip = line(list(strip), max(self._drawing.width + 2, width), base)
        return strip.crop_extend(left, left + width, base)

    def _row_segments(self, drawing: Drawing, y: int, colours: Palette) -> list[Segment]:
        segments, x = [Segment(" ")], 0
        for box in self._by_line.get(y, []):
            segments += self._edge_segments(drawing, x, box.x, y, colours)
            segments += self._box_segments(box, colours)
            x = box.x + box.width
        return segments + self._edge_segments(drawing, x, drawing.width, y, colours)

    def _edge_segments(self, drawing: Drawing, start: int, end: int, y: int, colours: Palette) -> list[Segment]:
        """The cells between two boxes as segments of one style each."""
        text, segments = drawing.lines[y], []
        x = start
        while x < end:
            lit = (x, y) in self._highlighted_cells
            until = x + 1
            while until < end and ((until, y) in self._highlighted_cells) == lit:
                until += 1
            run = "".join(self._highlighted_cells[at, y] for at in range(x, until)) if lit else text[x:until]
            segments.append(Segment(run, colours.highlight if lit else colours.line))
            x = until
        return segments

    def _box_segments(self, box: Box, colours: Palette) -> list[Segment]:
        phase, allowed = self._model.phase(box.name)
        style, plain, chosen = colours.phase(phase, allowed=allowed), colours.plain, False
        if self.selected is not None:
            chosen = self._model.grouped.node_of.get(self.selected) == box.name
            plain = plain if chosen or box.name in self._related_boxes else colours.muted
        segments = [Segment(f"{phase_sign(phase, allowed=allowed)} ", style)]
        segments.append(Segment(self._model.title(box.name), colours.bold if chosen else plain))
        segments += self._model.counts(box.name, colours)
        used = sum(segment.cell_length for segment in segments)
        segments.append(Segment(" " * (box.width - used)))
        if not chosen:
            return segments
        over = colours.cursor if self.has_focus else colours.cursor_blurred
        return [Segment(text, (style or colours.plain) + over) for text, style, _ in segments if text]

    def action_go(self, direction: str) -> None:
        if self._drawing is None or not self._drawing.boxes:
            return
        home = self._model.grouped.node_of.get(self.selected or "")
        other: str | None = next(iter(self._drawing.boxes))
        if home is not None:
            other = self._drawing.neighbour(home, direction)
        if other is not None:
            self._select(self._model.representative(other))

    def action_open(self) -> None:
        if self.selected is not None:
            self.post_message(self.Opened(self, self.selected))

    def action_fold(self) -> None:
        """Open or close the group of the selected step."""
        if self.selected is not None and self._model.toggle(self.selected):
            self._update_drawing()

    def action_fold_all(self) -> None:
        """Open all groups; when all are open, close them."""
        if self._model.toggle_all():
            self._update_drawing()

    def action_turn(self) -> None:
        """Between the drawing and the list."""
        now = self._drawing is not None and bool(self._drawing.boxes) and not self._drawing.paths
        self._as_list = not now if self._as_list is None else not self._as_list
        self._update_drawing()

    def on_click(self, event: events.Click) -> None:
        if self._drawing is None:
            return
        box = self._drawing.node_at(event.x - 1 + self.scroll_offset.x, event.y + self.scroll_offset.y)
        if box is None:
            return
        again = self._model.grouped.node_of.get(self.selected or "") == box
        self._select(self._model.representative(box))
        if again and event.chain > 1:
            if self._model.is_group(box):
                self.action_fold()
            else:
                self.action_open()

    def _select(self, name: str) -> None:
        self.selected = name
        self.post_message(self.Selected(self, name))
