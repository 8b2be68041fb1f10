"""Writing for people and for programs: colour or not, how wide, harmless text, tables, JSON and YAML.

Everything a pipeline, a file or a controller says goes through `clean` before a terminal sees it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from workbench.text.sanitize import sanitize_line, truncate
from workbench.text.width import cell_width

RESET = "\x1b[0m"
DIM = "2"
BOLD = "1"
RED = "31"
GREEN = "32"
YELLOW = "33"
CYAN = "36"
_STEP_COLOURS = ("36", "33", "35", "34", "32", "96", "93", "95", "94", "92")
_PHASES = {"Succeeded": GREEN, "Failed": RED, "Cancelled": YELLOW, "Running": CYAN, "Skipped": DIM}
_MIN_WIDTH = 40


class InputError(Exception):
    """What was asked for can't be meant; the message says what is wrong and what to do. Exit code 2."""


class CommandError(Exception):
    """A command could not do its work; the message says why and what to do. Exit code 1."""


@dataclass(frozen=True)
class ConsoleStyle:
    """How to write to one stream."""

    colour: bool
    width: int | None
    """Columns; None where lines may be of any length (a file, a pipe)."""

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}{RESET}" if self.colour and text and code else text

    def phase(self, phase: str, text: str | None = None) -> str:
        return self.paint(text if text is not None else phase, _PHASES.get(phase, ""))

    def step_colour(self, index: int) -> str:
        return _STEP_COLOURS[index % len(_STEP_COLOURS)]


def console_style(stream: TextIO) -> ConsoleStyle:
    """Colours only for a terminal, and not where NO_COLOR (https://no-color.org) or TERM=dumb says no."""
    terminal = stream.isatty()
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = max(_MIN_WIDTH, shutil.get_terminal_size().columns) if terminal else None
    return ConsoleStyle(terminal and wanted, width)


def prepare_streams() -> None:
    """A character that the locale can't write becomes a question mark, not an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def close_output() -> None:
    """The reader of our output is gone: nothing more, also not while Python shuts down."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def echo(text: str = "") -> None:
    """A line on standard output. The text is ours, or cleaned."""
    sys.stdout.write(text + "\n")


def echo_error(text: str) -> None:
    """Something for the person, on standard error; other people's text in it becomes harmless."""
    lines = [sanitize_line(line, colour=False) for line in text.splitlines()]
    try:
        sys.stderr.write("c8s: " + "\n".join(lines) + "\n")
        sys.stderr.flush()
    except OSError:
        pass  # Nobody listens; the exit code still tells.


def print_document(value: Any, form: str) -> None:
    """JSON or YAML on standard output."""
    if form == "json":
        echo(json.dumps(value, indent=2, ensure_ascii=not _unicode_out()))
        return
    import yaml

    echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=_unicode_out()).rstrip("\n"))


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], how: ConsoleStyle, phase_column: int | None = None
) -> None:
    """Aligned columns, the last cut to the terminal's width. The column `painted` holds phases."""
    table = [tuple(header), *(tuple(sanitize_line(cell, colour=False) for cell in row) for row in rows)]
    widths = [max(cell_width(row[column]) for row in table) for column in range(len(header))]
    for number, row in enumerate(table):
        cells = [cell + " " * (widths[column] - cell_width(cell)) for column, cell in enumerate(row)]
        line = "  ".join(cells).rstrip()
        if how.width is not None and cell_width(line) > how.width:
            line = truncate(line, how.width)
        if number == 0:
            line = how.paint(line, BOLD)
        elif phase_column is not None and how.colour:
            line = (
                line.replace(row[phase_column], how.phase(row[phase_column]), 1)
                if row[phase_column] in _PHASES
                else line
            )
        echo(line)


def _unicode_out() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
