"""The steps of a run as an indented list: dependencies, phases, and bars of their time spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from controller.run_types.phases import StepPhase
from workbench.client.models import Run, Step
from workbench.client.statistics import StepTrend
from workbench.dag import Graph, OutlineRow, outline
from workbench.report.timeline import Timeline, bars, critical_path
from workbench.report.trends import SLOWER_SIGN, is_slow, sparkline
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_label
from workbench.text.width import cell_width
from workbench.tui.theme import Palette, phase_sign
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.segments import cell

_TIME_WIDTH = 7
_MAX_NAME_WIDTH = 26
_MIN_BAR_WIDTH = 8
_SPARKLINE_WIDTH = 10
BAR_SIGNS = {"queued": "·", "starting": "╌", "pulling": "┅", "fetching": "─", "running": "━", "uploading": "═"}
CRITICAL_SIGN = "◆"


class StepList(ListView):
    """Keys are the names of the steps."""

    HELP_TITLE: ClassVar[str] = "Steps"

    @dataclass
    class EdgeDragged(Message):
        """The right border was dragged to a column of the screen."""

        column: int

    def __init__(self, now: Callable[[], datetime], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._now = now
        self._run: Run | None = None
        self._steps: dict[str, Step] = {}
        self._rows: dict[str, OutlineRow] = {}
        self._critical_steps: frozenset[str] = frozenset()
        self._name_width = 0
        self._shape: object = None
        self._timeline: Timeline | None = None
        """The times of the run, made once for all rows."""
        self._drawn_seconds = 0.0
        """How long that was when all bars were compared last."""
        self._trends: Mapping[str, StepTrend] = {}
        self._ascii_only = False
        self._dragging = False

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if self.styles.border_right[0] and event.x == self.outer_size.width - 1:
            self._dragging = True
            self.capture_mouse()
            event.stop()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragging:
            self.post_message(self.EdgeDragged(round(event.screen_x)))

    def on_mouse_up(self) -> None:
        if self._dragging:
            self._dragging = False
            self.release_mouse()

    def show_run(self, run: Run) -> None:
        self._run, self._timeline = run, Timeline.of(run)
        self._steps = {step.name: step for step in run.steps}
        self._critical_steps = frozenset(critical_path(run))
        shape = tuple((step.name, step.depends_on) for step in run.steps)
        if shape == self._shape:
            self.refresh_changed()
            return
        self._shape = shape
        graph = Graph.of(self._steps, [(before, step.name) for step in run.steps for before in step.depends_on])
        self._rows = {row.name: row for row in outline(graph.reduced(), indent=16)}
        widths = [
            cell_width(row.rails) + cell_width(sanitize_label(row.name, _MAX_NAME_WIDTH)) for row in self._rows.values()
        ]
        self._name_width = max(widths, default=0)
        self.show_keys(list(self._rows))

    def tick(self) -> None:
        """Draw what the time alone changes: the active steps, and bars that are shorter now."""
        if self._run is None or self._run.ended:
            return
        total = self._seconds_shown()
        if total * self.size.width > self._drawn_seconds * (self.size.width + 0.5):
            self._drawn_seconds = total
            self.refresh_changed()
        else:
            self.refresh_changed(name for name, step in self._steps.items() if step.attempts and not step.ended)

    def _seconds_shown(self) -> float:
        scale = self._timeline.scale(1, self._now()) if self._timeline is not None else None
        return (scale.end - scale.begin).total_seconds() if scale is not None else 0.0

    def show_trends(self, trends: Mapping[str, StepTrend], *, ascii_only: bool) -> None:
        """Show the last durations of the steps, by name."""
        self._trends, self._ascii_only = trends, ascii_only
        self.refresh()

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        step, row = self._steps[key], self._rows[key]
        style = colours.phase(step.state, allowed=step.allow_failure)
        room = max(width - _TIME_WIDTH - 2, 8)
        names = min(self._name_width + 4, room)
        timed = room - names >= _MIN_BAR_WIDTH
        left = Strip(self._head(step, row, names if timed else room, style, colours)).adjust_cell_length(
            names if timed else room
        )
        trend = self._trends.get(step.name)
        line = _SPARKLINE_WIDTH + 1 if self._trends and room - names >= _MIN_BAR_WIDTH + _SPARKLINE_WIDTH + 1 else 0
        bar = self._bar(step, room - names - line, style, colours) if timed else []
        shown = sparkline(trend.seconds, _SPARKLINE_WIDTH, ascii_only=self._ascii_only) if trend is not None else ""
        is_slower = trend is not None and (trend.slower is not None or self._is_slow(step, trend))
        mark = Segment(SLOWER_SIGN, colours.warning) if is_slower else Segment(" ")
        lines = [Segment(" "), cell(shown, _SPARKLINE_WIDTH, colours.muted, right=True)] if line else []
        time = cell(self._duration(step), _TIME_WIDTH + 1, colours.muted, right=True)
        return Strip([*left, *bar, *lines, time, mark])

    @staticmethod
    def _is_slow(step: Step, trend: StepTrend) -> bool:
        times = step.last_attempt.times if step.last_attempt is not None else None
        if step.phase != StepPhase.SUCCEEDED or times is None or times.running is None or times.finished is None:
            return False
        return is_slow((times.finished - times.running).total_seconds(), trend.median)

    def _head(self, step: Step, row: OutlineRow, width: int, style: Style, colours: Palette) -> list[Segment]:
        critical = step.name in self._critical_steps
        segments = [
            Segment(CRITICAL_SIGN if critical else " ", colours.warning),
            Segment(row.rails, colours.line),
            Segment(f"{phase_sign(step.state, allowed=step.allow_failure)} ", style),
        ]
        room = max(width - cell_width(row.rails) - 3, 1)
        name = sanitize_label(step.name, room)
        waits = step.phase in ("Pending", "Skipped")
        segments.append(Segment(name, colours.muted if waits else colours.bold if critical else colours.plain))
        left = room - cell_width(name)
        if row.also_after and left > 6:
            segments.append(Segment(sanitize_label(f" ⇠ {', '.join(row.also_after)}", left), colours.faint))
        return segments

    def _bar(self, step: Step, width: int, style: Style, colours: Palette) -> list[Segment]:
        """The spans of the step (queued, starting, running, …) on the time scale of the run."""
        scale = self._timeline.scale(width - 1, self._now()) if self._timeline is not None else None
        if self._timeline is None or scale is None:
            return [Segment(" " * width)]
        segments, at = [Segment(" ")], 0
        for bar in bars(self._timeline.spans[step.name], scale, self._now()):
            segments.append(Segment(" " * (bar.first - at)))
            shade = style if bar.part == "running" else colours.accent if bar.part == "pulling" else colours.muted
            segments.append(Segment(BAR_SIGNS[bar.part] * (bar.last - bar.first), shade))
            at = bar.last
        return [*segments, Segment(" " * (width - 1 - at))]

    def _duration(self, step: Step) -> str:
        if step.phase == StepPhase.PENDING and step.attempts:
            # A pod that was made ahead is an attempt that has not begun.
            failed = sum(attempt.phase == StepPhase.FAILED for attempt in step.attempts)
            return f"retry {failed + 1}" if failed else ""
        if self._timeline is None or not step.attempts:
            return "reused" if step.reused is not None else ""
        return format_duration(sum(span.seconds(self._now()) for span in self._timeline.spans[step.name]))
