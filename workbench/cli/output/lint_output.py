"""What lint says of a pipeline file, on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.cli.output.console import Look
from workbench.cli.output.diagnostics import Problem, problem_lines, summary
from workbench.pipeline_file.load import PipelineFile, check


def show_problems(file: PipelineFile, problems: Iterable[Problem], how: Look) -> list[str]:
    """The lines that show the problems of a file, each with its source line."""
    source: Sequence[str] = file.data.decode(errors="replace").splitlines()
    return [line for problem in problems for line in problem_lines(file.label, problem, source, how)]


def refuse_errors(file: PipelineFile, how: Look) -> Mapping[str, Any] | None:
    """The definition of a good file; None for a bad one, whose problems are then on standard error.

    Warnings are shown and do no harm.
    """
    checked = check(file.data)
    for line in show_problems(file, checked.problems, how):
        sys.stderr.write(line + "\n")
    if checked.definition is None or checked.has_errors:
        sys.stderr.write(f"{file.label}: {summary(checked.problems)}\n")
        return None
    return checked.definition
