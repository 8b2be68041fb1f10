"""The steps of a run as an indented list, one line each: what it waits for, how it is, how long it took."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip

from workbench.client.views import Run, Step
from workbench.core.dag import Graph, Row, outline
from workbench.core.report import duration_text, spans
from workbench.core.text import label
from workbench.core.width import cell_width
from workbench.tui.theme import Palette, sign
from workbench.tui.widgets.painting import cell
from workbench.tui.widgets.rows import Rows

_TIME = 7


class StepList(Rows):
    """Keys are the names of the steps."""

    HELP_TITLE: ClassVar[str] = "Steps"

    def __init__(self, now: Callable[[], datetime], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._now = now
        self._run: Run | None = None
        self._steps: dict[str, Step] = {}
        self._rows: dict[str, Row] = {}
        self._shape: object = None

    def show_run(self, run: Run) -> None:
        self._run = run
        self._steps = {step.name: step for step in run.steps}
        shape = tuple((step.name, step.depends_on) for step in run.steps)
        if shape == self._shape:
            self.refresh()
            return
        self._shape = shape
        graph = Graph.of(self._steps, [(before, step.name) for step in run.steps for before in step.depends_on])
        self._rows = {row.name: row for row in outline(graph.reduced(), indent=16)}
        self.show_keys(list(self._rows))

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        step, row = self._steps[key], self._rows[key]
        style = colours.phase(step.phase, allowed=step.allow_failure)
        head = [Segment(" "), Segment(row.rails, colours.line), Segment(f"{sign(step.phase)} ", style)]
        room = max(width - cell_width(row.rails) - 3 - _TIME - 2, 4)
        name = label(step.name, room)
        segments = [*head, Segment(name, colours.muted if step.phase in ("Pending", "Skipped") else colours.plain)]
        left = room - cell_width(name)
        if row.also_after and left > 6:
            others = label(f" ⇠ {', '.join(row.also_after)}", left)
            segments.append(Segment(others, colours.faint))
        strip = Strip(segments).adjust_cell_length(width - _TIME - 1)
        return Strip([*strip, cell(self._duration(step), _TIME, colours.muted, right=True), Segment(" ")])

    def _duration(self, step: Step) -> str:
        if self._run is None or not step.attempts:
            return ""
        return duration_text(sum(span.seconds(self._now()) for span in spans(self._run, step)))
