"""Output to the terminal or to programs: colours, width, tables, JSON and YAML.

All text from pipelines, files and controllers passes `sanitize_line` before it is printed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from controller.run_types.phases import StepPhase
from workbench.text.sanitize import escape_json_controls, has_hidden_characters, sanitize_line, truncate
from workbench.text.width import cell_width

RESET = "\x1b[0m"
DIM = "2"
BOLD = "1"
RED = "31"
GREEN = "32"
YELLOW = "33"
CYAN = "36"
_STEP_COLOURS = ("36", "33", "35", "34", "32", "96", "93", "95", "94", "92")
_PHASES: dict[str, str] = {
    StepPhase.SUCCEEDED: GREEN,
    StepPhase.FAILED: RED,
    StepPhase.CANCELLED: YELLOW,
    StepPhase.RUNNING: CYAN,
    StepPhase.SKIPPED: DIM,
}
_MIN_WIDTH = 40


class InputError(Exception):
    """Invalid arguments or input; the message says what is wrong and what to do. Exit code 2."""


class CommandError(Exception):
    """A command failed; the message says why and what to do. Exit code 1."""


@dataclass(frozen=True)
class ConsoleStyle:
    """The colours and the width of an output stream."""

    colour: bool
    width: int | None
    """Columns; None if lines may have any length (a file, a pipe)."""

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}{RESET}" if self.colour and text and code else text

    def phase(self, phase: str, text: str | None = None) -> str:
        return self.paint(text if text is not None else phase, _PHASES.get(phase, ""))

    def step_colour(self, index: int) -> str:
        return _STEP_COLOURS[index % len(_STEP_COLOURS)]


def console_style(stream: TextIO) -> ConsoleStyle:
    """The style of a stream: colours only on a terminal, unless NO_COLOR (https://no-color.org) or TERM=dumb is set."""
    terminal = stream.isatty()
    allowed = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = max(_MIN_WIDTH, shutil.get_terminal_size().columns) if terminal else None
    return ConsoleStyle(terminal and allowed, width)


def prepare_streams() -> None:
    """Print characters that the locale cannot encode as question marks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def close_output() -> None:
    """Discard further output after the reader closed the pipe, also while Python shuts down."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())


def echo(text: str = "") -> None:
    """Print a line to standard output. Text from outside must be sanitized before."""
    sys.stdout.write(text + "\n")


def echo_error(text: str) -> None:
    """Print a message to standard error, sanitized."""
    lines = [sanitize_line(line, colour=False) for line in text.splitlines()]
    try:
        sys.stderr.write("c8s: " + "\n".join(lines) + "\n")
        sys.stderr.flush()
    except OSError:
        pass  # Standard error is closed; the exit code still reports the failure.


def print_document(value: Any, form: str) -> None:
    """Print JSON or YAML to standard output."""
    if form == "json":
        text = json.dumps(value, indent=2, ensure_ascii=not _unicode_out())
        echo(escape_json_controls(text))
        return
    import yaml

    # YAML has escapes only within quotes: a document with characters to escape is written in ASCII.
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=_unicode_out())
    if has_hidden_characters(text):
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=False)
    echo(text.rstrip("\n"))


def print_list(
    documents: Sequence[Mapping[str, Any]],
    output: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    nothing: str,
) -> None:
    """Print a list as `--output` asks for: as documents, or as a table, or say that there is `nothing`."""
    if output != "table":
        print_document(list(documents), output)
    elif not documents:
        echo_error(nothing)
    else:
        print_table(header, rows, console_style(sys.stdout))


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], style: ConsoleStyle, phase_column: int | None = None
) -> None:
    """Print aligned columns, truncated to the terminal's width. Column `phase_column` is coloured by phase."""
    table = [tuple(header), *(tuple(sanitize_line(cell, colour=False) for cell in row) for row in rows)]
    widths = [max(cell_width(row[column]) for row in table) for column in range(len(header))]
    for number, row in enumerate(table):
        cells = [cell + " " * (widths[column] - cell_width(cell)) for column, cell in enumerate(row)]
        line = "  ".join(cells).rstrip()
        if style.width is not None and cell_width(line) > style.width:
            line = truncate(line, style.width)
        if number == 0:
            line = style.paint(line, BOLD)
        elif phase_column is not None and style.colour:
            line = (
                line.replace(row[phase_column], style.phase(row[phase_column]), 1)
                if row[phase_column] in _PHASES
                else line
            )
        echo(line)


def _unicode_out() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
