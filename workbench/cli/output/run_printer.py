"""A run on a terminal or in a pipe: lines with their step before them, and notes between."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from workbench.cli.output.console import DIM, ConsoleStyle, close_output, echo_error
from workbench.client.models import Run
from workbench.logs.run_log import Line, LogItem, StepEvent
from workbench.text.sanitize import sanitize_line, truncate
from workbench.text.width import cell_width

_WIDEST_NAME = 28
_NOTES = {
    "Succeeded": "succeeded",
    "Failed": "failed",
    "Skipped": "skipped",
    "Cancelled": "cancelled",
    "Running": "started",
}


@dataclass
class StepPrefix:
    """A step as a prefix: its name, and which colour it has."""

    name: str
    index: int


@dataclass
class RunPrinter:
    """Lays out what a run says; knows the steps' names from the run's status."""

    how: ConsoleStyle
    timestamps: bool = False
    quiet: bool = False
    """No notes, only lines."""
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
            if isinstance(item, Line) or not self.quiet
        ]

    def _add(self, slug: str, name: str) -> StepPrefix:
        label = truncate(sanitize_line(name, colour=False), _WIDEST_NAME)
        self._width = max(self._width, cell_width(label))
        return self._prefixes.setdefault(slug, StepPrefix(label, len(self._prefixes)))

    def _prefix(self, slug: str) -> str:
        lane = self._prefixes.get(slug) or self._add(slug, slug)
        padded = lane.name + " " * (self._width - cell_width(lane.name))
        return self.how.paint(padded, self.how.step_colour(lane.index)) + self.how.paint(" | ", DIM)

    def _line(self, line: Line) -> str:
        time = f"{line.time or '-':27} " if self.timestamps else ""
        if line.container is None:
            return self._prefix(line.slug) + time + sanitize_line(line.text, colour=self.how.colour)
        return self._prefix(line.slug) + self.how.paint(
            f"{time}[{sanitize_line(line.container, colour=False)}] {sanitize_line(line.text, colour=False)}", DIM
        )

    def _note(self, note: StepEvent) -> str:
        text = sanitize_line(note.text, colour=False)
        if note.kind == "ended":
            word = _NOTES.get(note.phase, note.phase.lower())
            said = text.lower() == word or text.lower().startswith(f"{word} ")
            rest = text[len(word) :] if said else f": {text}" if text else ""
            return self._prefix(note.slug) + self.how.paint("-- ", DIM) + self.how.phase(note.phase, word) + rest
        return self._prefix(note.slug) + self.how.paint(f"-- {text}", DIM)


@dataclass
class Output:
    """Standard output, written beside the event loop: a paused reader must not make us deaf to Ctrl-C."""

    closed: bool = False
    on_close: Callable[[], None] = lambda: echo_error(
        "nobody reads the output any more; the run goes on and this command waits for it (Ctrl-C cancels it)"
    )

    async def write(self, lines: list[str]) -> None:
        if lines and not self.closed:
            await asyncio.to_thread(self._write, "\n".join(lines) + "\n")

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            self.closed = True
            close_output()
            self.on_close()
