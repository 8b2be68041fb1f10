"""The output of `c8s run`: log lines behind the name of their step, and the events of steps."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from controller.run_types.phases import StepPhase
from workbench.cli.output.console import BOLD, DIM, ConsoleStyle, close_output, echo_error
from workbench.client.models import Run
from workbench.daemon_thread import run_in_daemon_thread
from workbench.logs.run_log import Line, LogItem, StepTransition
from workbench.text.format import format_timestamp
from workbench.text.sanitize import sanitize_line, truncate
from workbench.text.width import cell_width

_MAX_NAME_WIDTH = 28
_PHASE_WORDS: dict[str, str] = {
    StepPhase.SUCCEEDED: "succeeded",
    StepPhase.FAILED: "failed",
    StepPhase.SKIPPED: "skipped",
    StepPhase.CANCELLED: "cancelled",
    StepPhase.RUNNING: "started",
}


@dataclass
class StepPrefix:
    """The prefix of a step's lines: its name, and the index of its colour."""

    name: str
    index: int


@dataclass
class RunPrinter:
    """Formats the lines and events of a run; the names of steps come from its status."""

    style: ConsoleStyle
    timestamps: bool = False
    quiet: bool = False
    """Only lines and commands, no other events."""
    _prefixes: dict[str, StepPrefix] = field(default_factory=dict)
    _width: int = 0

    def update_steps(self, run: Run) -> None:
        for step in run.steps:
            if step.slug not in self._prefixes:
                self._add(step.slug, step.name)

    def lines(self, shown: Iterable[LogItem]) -> list[str]:
        return [
            self._line(item) if isinstance(item, Line) else self._note(item)
            for item in shown
            if isinstance(item, Line) or not self.quiet or item.kind == "command"
        ]

    def unfinished(self, line: Line | None) -> str:
        """What is shown of a line that has not ended, at most one row of the terminal; empty if there is nothing."""
        if line is None or self.style.width is None:
            return ""
        prefix = self._prefix(line.slug)
        text = sanitize_line(line.text, colour=False)
        if line.container is not None:
            text = f"[{sanitize_line(line.container, colour=False)}] {text}"
        return prefix + truncate(text, self.style.width - self._width - len(" | ") - 1)

    def _add(self, slug: str, name: str) -> StepPrefix:
        label = truncate(sanitize_line(name, colour=False), _MAX_NAME_WIDTH)
        self._width = max(self._width, cell_width(label))
        return self._prefixes.setdefault(slug, StepPrefix(label, len(self._prefixes)))

    def _prefix(self, slug: str) -> str:
        lane = self._prefixes.get(slug) or self._add(slug, slug)
        padded = lane.name + " " * (self._width - cell_width(lane.name))
        return self.style.paint(padded, self.style.step_colour(lane.index)) + self.style.paint(" | ", DIM)

    def _line(self, line: Line) -> str:
        time = f"{format_timestamp(line.time):27} " if self.timestamps else ""
        if line.container is None:
            return self._prefix(line.slug) + time + sanitize_line(line.text, colour=self.style.colour, limit=None)
        container = sanitize_line(line.container, colour=False)
        text = sanitize_line(line.text, colour=False, limit=None)
        return self._prefix(line.slug) + self.style.paint(f"{time}[{container}] {text}", DIM)

    def _note(self, note: StepTransition) -> str:
        text = sanitize_line(note.text, colour=False)
        if note.kind == "command":
            return self._prefix(note.slug) + format_command(text, self.style)
        if note.kind == "ended":
            word = _PHASE_WORDS.get(note.phase, note.phase.lower())
            repeats_phase = text.lower() == word or text.lower().startswith(f"{word} ")
            rest = text[len(word) :] if repeats_phase else f": {text}" if text else ""
            return self._prefix(note.slug) + self.style.paint("-- ", DIM) + self.style.phase(note.phase, word) + rest
        return self._prefix(note.slug) + self.style.paint(f"-- {text}", DIM)


def format_command(text: str, style: ConsoleStyle) -> str:
    """The heading of a command's output."""
    return style.paint(f"$ {text}", BOLD)


@dataclass
class LiveRow:
    """The row below the printed lines, which is written again and again, such as a progress bar."""

    shown: str = ""

    def text(self, lines: list[str], row: str) -> str:
        """What to write so that these lines are printed above the row, which is then `row` (empty: none)."""
        if not lines and row == self.shown:
            return ""
        clear = "\r\x1b[K" if self.shown else ""
        self.shown = row
        return clear + "".join(f"{line}\n" for line in lines) + row


@dataclass
class Output:
    """Standard output, written in a thread so that a paused reader does not block Ctrl-C."""

    closed: bool = False
    on_close: Callable[[], None] = lambda: echo_error(
        "the output was closed; this command keeps waiting for the run (Ctrl-C cancels it)"
    )
    _row: LiveRow = field(default_factory=LiveRow)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def write(self, lines: list[str], row: str = "") -> None:
        """Write lines, and below them a row that the next call replaces."""
        async with self._lock:
            text = self._row.text(lines, row)
            if text and not self.closed:
                await run_in_daemon_thread(self._write, text)

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            self.closed = True
            close_output()
            self.on_close()
