"""Findings of lint, as a compiler prints them: place, message, the line itself, a caret below the spot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from workbench.cli.output.console import BOLD, CYAN, DIM, RED, YELLOW, ConsoleStyle, echo_error
from workbench.text.sanitize import sanitize_line, truncate
from workbench.text.width import cell_width

if TYPE_CHECKING:
    from workbench.client.errors import InvalidError

_COLOURS = {"error": RED, "warning": YELLOW, "hint": CYAN}
_SOURCE_CELLS = 160
"""Columns of a source line that are shown at most."""


class Diagnostic(Protocol):
    """What a finding has, whether it was found here or by a controller."""

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


def format_diagnostic(file: str, problem: Diagnostic, source: Sequence[str], how: ConsoleStyle) -> list[str]:
    """The lines that show one problem. `source` are the file's lines, none when there is no text to show."""
    line, column = problem.line or 0, problem.column or 0
    place = sanitize_line(file, colour=False) + (f":{line}:{max(column, 1)}" if line else "")
    said = sanitize_line(" ".join(problem.message.split()), colour=False)
    if not line and problem.path:
        said = f"{sanitize_line(problem.path, colour=False)}: {said}"
    severity = how.paint(f"{problem.severity}:", _COLOURS.get(problem.severity, BOLD))
    shown = [f"{how.paint(place, BOLD)}: {severity} {said}"]
    if 0 < line <= len(source):
        shown += _excerpt(line, column, source[line - 1], how)
    if problem.hint:
        shown.append(f"{' ' * 6} {how.paint('=', DIM)} {sanitize_line(' '.join(problem.hint.split()), colour=False)}")
    return shown


def _excerpt(line: int, column: int, text: str, how: ConsoleStyle) -> list[str]:
    bar = how.paint("|", DIM)
    whole = sanitize_line(text, colour=False)
    before = cell_width(sanitize_line(text[: max(0, column - 1)], colour=False))
    shown = [f"{how.paint(f'{line:>6}', DIM)} {bar} {truncate(whole, min(_SOURCE_CELLS, (how.width or 999) - 10))}"]
    if column and before < min(_SOURCE_CELLS, (how.width or 999) - 10):
        shown.append(f"{' ' * 6} {bar} {' ' * before}{how.paint('^', RED)}")
    return shown


def summarize(problems: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`; empty when there is nothing to count."""
    found = [problem.severity for problem in problems]
    counts = [(kind, found.count(kind)) for kind in ("error", "warning", "hint")]
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts if count)


def print_invalid(error: InvalidError) -> None:
    """What a controller did not like, on standard error."""
    echo_error(f"error: {error}")
    plain = ConsoleStyle(colour=False, width=None)
    for problem in error.problems:
        for line in format_diagnostic("pipeline", problem, (), plain):
            echo_error(line)
