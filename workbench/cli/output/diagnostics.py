"""Lint results in the format of compilers: position, message, source line, and a caret below the column."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from workbench.cli.output.console import BOLD, CYAN, DIM, RED, YELLOW, ConsoleStyle, echo_error
from workbench.text.sanitize import sanitize_line, truncate
from workbench.text.width import cell_width

if TYPE_CHECKING:
    from workbench.client.errors import InvalidError
    from workbench.pipeline_file.load import PipelineFile

_COLOURS = {"error": RED, "warning": YELLOW, "hint": CYAN}
_SOURCE_CELLS = 160
"""Maximum number of columns of a source line."""


class PrintableDiagnostic(Protocol):
    """A lint result, found locally or by a controller."""

    @property
    def line(self) -> int | None: ...
    @property
    def column(self) -> int | None: ...
    @property
    def path(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def hint(self) -> str | None: ...


def format_diagnostic(file: str, problem: PrintableDiagnostic, source: Sequence[str], style: ConsoleStyle) -> list[str]:
    """The lines that show one diagnostic. `source` holds the file's lines; empty if there is no text to show."""
    line, column = problem.line or 0, problem.column or 0
    position = sanitize_line(file, colour=False) + (f":{line}:{max(column, 1)}" if line else "")
    message = sanitize_line(" ".join(problem.message.split()), colour=False)
    if not line and problem.path:
        message = f"{sanitize_line(problem.path, colour=False)}: {message}"
    severity = style.paint(f"{problem.severity}:", _COLOURS.get(problem.severity, BOLD))
    shown = [f"{style.paint(position, BOLD)}: {severity} {message}"]
    if 0 < line <= len(source):
        shown += _excerpt(line, column, source[line - 1], style)
    if problem.hint:
        shown.append(f"{' ' * 6} {style.paint('=', DIM)} {sanitize_line(' '.join(problem.hint.split()), colour=False)}")
    return shown


def _excerpt(line: int, column: int, text: str, style: ConsoleStyle) -> list[str]:
    bar = style.paint("|", DIM)
    whole = sanitize_line(text, colour=False)
    before = cell_width(sanitize_line(text[: max(0, column - 1)], colour=False))
    shown = [f"{style.paint(f'{line:>6}', DIM)} {bar} {truncate(whole, min(_SOURCE_CELLS, (style.width or 999) - 10))}"]
    if column and before < min(_SOURCE_CELLS, (style.width or 999) - 10):
        shown.append(f"{' ' * 6} {bar} {' ' * before}{style.paint('^', RED)}")
    return shown


def summarize(problems: Iterable[PrintableDiagnostic]) -> str:
    """`2 errors, 1 warning`; empty if there are none."""
    found = [problem.severity for problem in problems]
    counts = [(kind, found.count(kind)) for kind in ("error", "warning", "hint")]
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts if count)


def print_invalid(error: InvalidError) -> None:
    """Print a rejected request and its diagnostics to standard error."""
    echo_error(f"error: {error}")
    plain = ConsoleStyle(colour=False, width=None)
    for problem in error.problems:
        subject = "request" if problem.code.startswith("request.") else "pipeline"
        for line in format_diagnostic(subject, problem, (), plain):
            echo_error(line)


def format_diagnostics(
    file: PipelineFile, diagnostics: Iterable[PrintableDiagnostic], style: ConsoleStyle
) -> list[str]:
    """The lines that show the diagnostics of a file, each with its source line."""
    source: Sequence[str] = file.data.decode(errors="replace").splitlines()
    return [line for each in diagnostics for line in format_diagnostic(file.label, each, source, style)]


def require_valid(file: PipelineFile, style: ConsoleStyle) -> Mapping[str, Any] | None:
    """The definition of a valid file; None for an invalid one. Errors and warnings are printed to standard error."""
    from workbench.pipeline_file.load import lint_file

    outcome = lint_file(file, Path.cwd())
    for line in format_diagnostics(file, outcome.problems, style):
        sys.stderr.write(line + "\n")
    if outcome.definition is None or outcome.has_errors:
        sys.stderr.write(f"{file.label}: {summarize(outcome.problems)}\n")
        return None
    return outcome.definition
