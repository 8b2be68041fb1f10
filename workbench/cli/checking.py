"""Finding, reading and linting a pipeline file, without a controller: the rules are the controller's own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.cli.output import InputError, Look
from workbench.cli.problems import Problem, problem_lines, shown_path, summary
from workbench.core.worktree import PIPELINE_FILES, find_pipeline

STDIN = "-"
_LARGEST = 16 * 1024 * 1024
"""Bytes that are read at most; far more than lint accepts, so that it is lint who says so."""


@dataclass(frozen=True)
class PipelineFile:
    """A file as it was read. `path` is None for standard input; `label` names it in messages."""

    path: Path | None
    label: str
    data: bytes


@dataclass(frozen=True)
class Checked:
    """What lint says. `definition` is the normalised pipeline when there is no error in it."""

    problems: tuple[Problem, ...]
    definition: dict[str, Any] | None

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)


def read_pipeline(file: str | None, cwd: Path) -> PipelineFile:
    """The file that is meant: the named one, standard input for `-`, or the nearest one upward.

    Raises:
        InputError: there is none, or it can't be read.
    """
    if file == STDIN:
        return PipelineFile(None, "<stdin>", sys.stdin.buffer.read(_LARGEST))
    path = Path(file) if file is not None else find_pipeline(cwd)
    if path is None:
        raise InputError(
            f"there is no {PIPELINE_FILES[0]} in {cwd} or above it in its repository. "
            "Write one, or name a file: `c8s run FILE`"
        )
    if path.is_dir():
        inside = next((path / name for name in PIPELINE_FILES if (path / name).is_file()), None)
        if inside is None:
            raise InputError(f"{path} is a folder without a {PIPELINE_FILES[0]}")
        path = inside
    try:
        with path.open("rb") as opened:
            data = opened.read(_LARGEST)
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from error
    label = shown_path(path.absolute(), cwd)
    # A pipe (`c8s run <(generate)`) lies nowhere.
    return PipelineFile(path.absolute() if path.is_file() else None, label, data)


def check(data: bytes) -> Checked:
    """What lint says about a file's bytes, whatever they are."""
    from controller.pipeline.lint import lint

    result = lint(data)
    return Checked(result.problems, result.pipeline)


def resolve_params(definition: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Check the parameters before anything is started.

    Raises:
        InputError: one is unknown, missing, or has a value that is not among its options.
    """
    from controller.pipeline.params import resolve

    _, wrong = resolve(definition.get("params") or [], given)
    if wrong:
        raise InputError("; ".join(sentence for _, sentence in wrong) + ". Give it with --param KEY=VALUE")


def verdict(definition: Mapping[str, Any], event: str, branch: str, changed: tuple[str, ...] | None) -> str:
    """Whether the event would start a run, as a sentence. `changed` is None when the changed files are not known."""
    from controller.pipeline.conditions import Occasion, match

    found = match(definition, Occasion(event=event, branch=branch, changed=changed))
    what = f"{event} on {branch}" if event != "tag" else event
    return f"{what}: would run" if found.runs else f"{what}: would not run, {found.why}"


def schema_document() -> str:
    """The JSON Schema of pipeline files, as text."""
    from controller.pipeline.lint import schema

    return json.dumps(schema(), indent=2)


def show_problems(file: PipelineFile, problems: Iterable[Problem], how: Look) -> list[str]:
    """The lines that show the problems of a file, each with its source line."""
    source: Sequence[str] = file.data.decode(errors="replace").splitlines()
    return [line for problem in problems for line in problem_lines(file.label, problem, source, how)]


def refuse_errors(file: PipelineFile, how: Look) -> dict[str, Any] | None:
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
