"""Compares two runs: the phase and duration of each step, and the first log line that differs."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widgets import Static

from workbench.client.errors import ClientError
from workbench.client.models import Step
from workbench.logs.log_file import LogFile, LogFileError
from workbench.report.compare import Difference, StepPair, first_difference, pair_steps
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_label, sanitize_line
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.services.interfaces import ControllerApi
from workbench.tui.theme import Palette, palette, phase_sign
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.log.streams import select_stream
from workbench.tui.widgets.segments import cell

_RUN_WIDTH, _NARROW_RUN_WIDTH = 23, 12
"""Columns for the phase and the duration of a step in one of the runs; in a narrow terminal for sign and duration."""
_WIDE_COLUMNS = 76


class StepComparisonList(ListView):
    """A row for each step of either run. Keys are the steps' names."""

    HELP_TITLE: ClassVar[str] = "Steps of both"
    OPENS: ClassVar[str] = "Log"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.pairs: dict[str, StepPair] = {}

    def show(self, pairs: tuple[StepPair, ...]) -> None:
        self.pairs = {pair.name: pair for pair in pairs}
        self.show_keys(list(self.pairs))

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        pair = self.pairs[key]
        run_width = _RUN_WIDTH if width >= _WIDE_COLUMNS else _NARROW_RUN_WIDTH
        name = max(width - 2 * run_width - 11, 10)
        slower = pair.slower_by
        change = "" if slower is None or abs(slower) < 0.05 else f"{slower:+.1f}s"
        style = colours.error if slower is not None and slower > 0.5 else colours.success
        return Strip(
            [
                cell(f"{'≠' if pair.differs else ' '} {sanitize_label(key, name)}", name + 2, colours.plain),
                *_run_cells(pair.left, pair.left_seconds, run_width, colours),
                *_run_cells(pair.right, pair.right_seconds, run_width, colours),
                cell(change, 9, style if slower is not None and abs(slower) > 0.5 else colours.faint, right=True),
            ]
        )


def _run_cells(step: Step | None, seconds: float | None, width: int, colours: Palette) -> list[Segment]:
    is_wide = width == _RUN_WIDTH
    if step is None:
        return [cell("  not in this run" if is_wide else "  not there", width, colours.faint)]
    style = colours.phase(step.phase, allowed=step.allow_failure)
    took = "reused" if step.reused is not None else format_duration(seconds) if seconds is not None else ""
    return [
        cell(f"  {phase_sign(step.phase)}{f' {step.phase}' if is_wide else ''}", width - 9, style),
        cell(took, 8, colours.muted, right=True),
        Segment(" "),
    ]


class CompareScreen(WorkbenchScreen):
    """`left` is the earlier run. Moving the cursor compares the logs of a step."""

    CSS_PATH = "details.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "app.pop_screen", "Back", id="compare.back", tooltip="Go back to the run"),
    ]

    def __init__(self, left: str, right: str) -> None:
        super().__init__()
        self._left, self._right = left, right

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield Static(id="compare-heading", markup=False)
        yield StepComparisonList(id="compare-steps")
        yield Static(id="compare-difference", markup=False)
        yield KeyFooter()

    @property
    def current_run(self) -> str | None:
        return self._right

    def on_mount(self) -> None:
        self.query_one(StepComparisonList).focus()

    def runs_changed(self) -> None:
        self.show_breadcrumbs("runs", f"{self._left} and {self._right}")
        left, right = (self.workbench.feed.runs.get(name) for name in (self._left, self._right))
        if left is None or right is None:
            return
        pairs, colours = pair_steps(left, right, self.workbench.now()), palette(self.app)
        self.query_one(StepComparisonList).show(pairs)
        different = sum(pair.differs for pair in pairs)
        text = Text(
            f"{sanitize_label(left.name, 40)} {left.phase}, then {sanitize_label(right.name, 40)} {right.phase}: ",
            colours.bold,
        )
        text.append(
            f"{different} of {len(pairs)} {'step' if len(pairs) == 1 else 'steps'} changed result", colours.muted
        )
        self.query_one("#compare-heading", Static).update(text)

    @on(ListView.CursorMoved)
    @work(group="difference", exclusive=True, description="find the first line that differs")
    async def _compare(self, event: ListView.CursorMoved) -> None:
        pair, controller = self.query_one(StepComparisonList).pairs.get(event.key), self.workbench.feed.controller
        if pair is None:
            return  # The runs have changed meanwhile.
        said = self.query_one("#compare-difference", Static)
        if controller is None or pair.left is None or pair.right is None:
            said.update(Text("This step is in only one of the runs.", palette(self.app).muted))
            return
        said.update(Text("Comparing the logs …", palette(self.app).muted))
        try:
            with LogFile() as left, LogFile() as right:
                await asyncio.gather(
                    _download_log(controller, self._left, pair.left, left),
                    _download_log(controller, self._right, pair.right, right),
                )
                found = await asyncio.to_thread(_difference, left, right)
        except (ClientError, LogFileError) as error:
            said.update(Text(sanitize_label(str(error), 400), palette(self.app).warning))
            return
        said.update(self._difference_text(found))

    @on(ListView.Opened)
    def _open_log(self, event: ListView.Opened) -> None:
        pair = self.query_one(StepComparisonList).pairs.get(event.key)
        if pair is not None:
            self.workbench.open_run(self._left if pair.right is None else self._right, event.key, above=True)

    def _difference_text(self, difference: Difference | None) -> Text:
        colours = palette(self.app)
        if difference is None:
            return Text("The logs are the same, ignoring timestamps.", colours.muted)
        text = Text(f"Logs differ from line {difference.line:,}, ignoring timestamps\n", colours.bold)
        for name, line in ((self._left, difference.left), (self._right, difference.right)):
            text.append(f"{sanitize_label(name, 24):<24} ", colours.muted)
            text.append(f"{'(the log ends earlier)' if line is None else sanitize_label(line, 500)}\n", colours.plain)
        return text


async def _download_log(controller: ControllerApi, run: str, step: Step, log: LogFile) -> None:
    key = select_stream(step)
    if key is None:
        return
    blocks = controller.log_blocks(run, step.slug, attempt=key.attempt, container=key.container)
    async with aclosing(blocks):
        async for block in blocks:
            await asyncio.to_thread(log.extend, block)


def _difference(left: LogFile, right: LogFile) -> Difference | None:
    def shown(log: LogFile, at: int, count: int) -> list[str]:
        return [sanitize_line(line, colour=False) for line in log.read(at, count)]

    return first_difference(lambda at, count: shown(left, at, count), lambda at, count: shown(right, at, count))
