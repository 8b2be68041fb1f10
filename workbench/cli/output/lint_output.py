"""What lint says of a pipeline file, on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.cli.output.console import ConsoleStyle
from workbench.cli.output.diagnostics import Diagnostic, format_diagnostic, summarize
from workbench.pipeline_file.load import PipelineFile, lint_pipeline


def format_diagnostics(file: PipelineFile, problems: Iterable[Diagnostic], how: ConsoleStyle) -> list[str]:
    """The lines that show the problems of a file, each with its source line."""
    source: Sequence[str] = file.data.decode(errors="replace").splitlines()
    return [line for problem in problems for line in format_diagnostic(file.label, problem, source, how)]


def require_valid(file: PipelineFile, how: ConsoleStyle) -> Mapping[str, Any] | None:
    """The definition of a good file; None for a bad one, whose problems are then on standard error.

    Warnings are shown and do no harm.
    """
    checked = lint_pipeline(file.data)
    for line in format_diagnostics(file, checked.problems, how):
        sys.stderr.write(line + "\n")
    if checked.definition is None or checked.has_errors:
        sys.stderr.write(f"{file.label}: {summarize(checked.problems)}\n")
        return None
    return checked.definition
