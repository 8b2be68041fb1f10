"""The table of runs: phase, name, progress, duration, branch, age and status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar

from rich.segment import Segment
from textual.reactive import reactive
from textual.strip import Strip
from textual.widgets import Static

from controller.run_query import run_duration
from workbench.client.models import Run
from workbench.report.trends import SLOWER_SIGN, is_slow
from workbench.runs.run_filter import RunFilter
from workbench.runs.run_list import RunList
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_label, truncate_middle
from workbench.text.width import cell_width
from workbench.tui.theme import Palette, phase_sign
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.segments import age_text, cell

_BAR_WIDTH = 12
RUN_BAR_SIGNS = {"failed": "✗", "succeeded": "━", "skipped or cancelled": "╌", "running": "┅", "waiting": "─"}
"""What the steps of a run are, in the order in which its bar has them."""
_MIN_NAME_WIDTH, _MAX_NAME_WIDTH = 12, 60
_MIN_STATUS_WIDTH, _STATUS_WIDTH = 16, 40
"""Columns of the status: the least that is of use, and what long names leave to it in a wide terminal."""
_BRANCH_WIDTH = 18
_NO_FILTER = RunFilter()
_TICKS_OF_AGES = 10
"""Every so many ticks the ages of all runs are compared: from a minute on, they are shown in minutes or more."""


class RunsTable(ListView):
    """The live list. `now` is the clock for durations and ages."""

    HELP_TITLE: ClassVar[str] = "Runs"

    def __init__(self, now: Callable[[], datetime], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._now = now
        self._runs: RunList = RunList()
        self._medians: Mapping[str, float] = {}
        self._ticks = 0
        self.longest_name = 0
        """Columns of the longest name in the list."""

    def show_runs(self, runs: RunList, run_filter: RunFilter = _NO_FILTER) -> None:
        self._runs = runs
        found = runs.newest if run_filter == _NO_FILTER else run_filter.apply(runs.newest, self._now())
        self.longest_name = max((cell_width(sanitize_label(run.name, _MAX_NAME_WIDTH)) for run in found), default=0)
        self.show_keys([run.name for run in found])

    def tick(self) -> bool:
        """Draw what the time alone changes: active and new runs each time, the ages of others now and then.

        Returns: whether all ages were compared.
        """
        self._ticks += 1
        if self._ticks % _TICKS_OF_AGES == 0 or not self._runs.active:
            self.refresh_changed()
            return True
        first, now = self.scroll_offset.y, self._now()
        shown = (self._runs.get(key) for key in self._keys[first : first + self.size.height])
        self.refresh_changed(run.name for run in shown if run is not None and (not run.ended or _is_new(run, now)))
        return False

    def show_medians(self, medians: Mapping[str, float]) -> None:
        """Mark the runs that took longer than the median of their pipeline, in seconds."""
        self._medians = medians
        self.refresh()

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        run = self._runs.get(key)
        if run is None:
            return Strip([])
        median = self._medians.get(run.pipeline) if run.phase == "Succeeded" else None
        return Strip(_row(run, width, self.longest_name, colours, self._now(), median))


class RunsHeading(Static):
    """The names of the columns, above the list."""

    longest_name = reactive(0)
    """Columns of the longest name in the list."""

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        titles = Segment("   "), cell("RUN", _name_width(width, self.longest_name), self.rich_style)
        rest = [cell("STEPS", _progress_width(width), self.rich_style), cell("TIME", 8, self.rich_style, right=True)]
        if width >= 70:
            rest += [Segment("  "), cell("BRANCH", _BRANCH_WIDTH, self.rich_style)]
        rest += [Segment("  "), cell("AGE", 4, self.rich_style, right=True)]
        drawn = [*titles, Segment(" "), *rest]
        if _status_room(drawn, width):
            drawn += [Segment("  "), Segment("STATUS")]
        return Strip(drawn).adjust_cell_length(width).apply_style(self.rich_style)


def _is_new(run: Run, now: datetime) -> bool:
    """Whether its age is shown in seconds."""
    return run.created_at is not None and (now - run.created_at).total_seconds() < 62


def _name_width(width: int, longest: int) -> int:
    """Columns for the names: as many as the longest one needs, if there is room."""
    room = width - 61 - _STATUS_WIDTH if width >= 110 else width - 60 if width >= 90 else width - 46
    return max(_MIN_NAME_WIDTH, min(longest, room if width >= 70 else width - 30))


def _progress_width(width: int) -> int:
    return _BAR_WIDTH + 8 if width >= 90 else 8


def _row(
    run: Run, width: int, longest_name: int, colours: Palette, now: datetime, median: float | None
) -> list[Segment]:
    style, names = colours.phase(run.phase), _name_width(width, longest_name)
    name_style = colours.muted if run.watch else colours.bold
    segments = [
        Segment(f" {phase_sign(run.phase)} ", style),
        # The number at the end tells runs of one pipeline apart.
        cell(truncate_middle(sanitize_label(run.name, 300), names), names, name_style),
        Segment(" "),
    ]
    if width >= 90:
        segments += [*_bar(run, colours), Segment(" ")]
    done = run.summary.total - run.summary.running - run.summary.pending
    segments.append(cell(f"{done}/{run.summary.total}", 7, colours.muted))
    if width < 90:
        segments.append(Segment(" "))
    duration = format_duration(run_duration(run, now))
    segments.append(cell(duration, 8, colours.plain, right=True))
    mark = Segment(f"{SLOWER_SIGN} ", colours.warning) if is_slow(run_duration(run, now), median) else Segment("  ")
    if width >= 70:
        segments += [mark, cell(sanitize_label(run.branch or "", _BRANCH_WIDTH), _BRANCH_WIDTH, colours.muted)]
    segments += [Segment("  "), cell(age_text(run.created_at, now), 4, colours.muted, right=True)]
    if room := _status_room(segments, width):
        said = f"by watching: {run.message or run.phase}" if run.watch else run.message or run.phase
        segments += [Segment("  "), Segment(sanitize_label(said, room), colours.muted)]
    return segments


def _status_room(segments: list[Segment], width: int) -> int:
    """Columns that are left for the status; 0 if they are too few."""
    room = width - sum(segment.cell_length for segment in segments) - 3
    return room if room >= _MIN_STATUS_WIDTH else 0


def _bar(run: Run, colours: Palette) -> list[Segment]:
    """A bar with the share of steps in each state, failures first."""
    total = max(run.summary.total, 1)
    parts = {
        "failed": (run.summary.failed, colours.error),
        "succeeded": (run.summary.succeeded, colours.success),
        "skipped or cancelled": (run.summary.cancelled + run.summary.skipped, colours.faint),
        "running": (run.summary.running, colours.running),
    }
    segments: list[Segment] = []
    counted = filled = 0
    for state, (count, style) in parts.items():
        counted += count
        cells = round(counted * _BAR_WIDTH / total) - filled
        if count and not cells and filled < _BAR_WIDTH:
            cells = 1
        filled += cells
        segments.append(Segment(RUN_BAR_SIGNS[state] * cells, style))
    segments.append(Segment(RUN_BAR_SIGNS["waiting"] * (_BAR_WIDTH - filled), colours.line))
    return segments
