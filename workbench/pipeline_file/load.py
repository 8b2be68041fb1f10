"""Finds, reads and lints a pipeline file without a controller, with the controller's own rules."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.submit.repository import WorktreeError
from workbench.submit.worktree import PIPELINE_FILES, find_pipeline, list_names, tree_root

if TYPE_CHECKING:
    from controller.pipeline.diagnostics import Diagnostic

STDIN = "-"
_MAX_BYTES = 16 * 1024 * 1024
"""Maximum number of bytes to read: more than lint accepts, so that lint reports a too large file."""


class PipelineFileError(Exception):
    """There is no such file, or it cannot be read; the message says which and what to do."""


class ParameterError(Exception):
    """A parameter is unknown, missing, or has a value that is not among its options."""


@dataclass(frozen=True)
class PipelineFile:
    """A pipeline file. `path` is None for standard input; `label` names it in messages."""

    path: Path | None
    label: str
    data: bytes


@dataclass(frozen=True)
class LintOutcome:
    """What lint says. `definition` is the normalised pipeline when there is no error in it."""

    problems: tuple[Diagnostic, ...]
    definition: Mapping[str, Any] | None

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)


def read_pipeline(file: str | None, cwd: Path) -> PipelineFile:
    """Read the named file, standard input for `-`, or the nearest file upward.

    Raises:
        PipelineFileError: there is none, or it cannot be read.
    """
    if file == STDIN:
        return PipelineFile(None, "<stdin>", sys.stdin.buffer.read(_MAX_BYTES))
    path = Path(file) if file is not None else find_pipeline(cwd)
    if path is None:
        raise PipelineFileError(
            f"there is no {PIPELINE_FILES[0]} in {cwd} or its parent folders in the repository. "
            "Create one with `c8s init`, or name a file: `c8s run FILE`"
        )
    if path.is_dir():
        inside = next((path / name for name in PIPELINE_FILES if (path / name).is_file()), None)
        if inside is None:
            raise PipelineFileError(f"{path} is a folder without a {PIPELINE_FILES[0]}")
        path = inside
    data = read_bytes(path)
    # A pipe (`c8s run <(generate)`) is in no folder.
    return PipelineFile(path.absolute() if path.is_file() else None, display_path(path.absolute(), cwd), data)


def read_bytes(path: Path) -> bytes:
    """The content of the file, up to the maximum for lint.

    Raises:
        PipelineFileError: it cannot be read.
    """
    try:
        with path.open("rb") as opened:
            return opened.read(_MAX_BYTES)
    except OSError as error:
        raise PipelineFileError(f"can't read {path}: {error.strerror}") from error


def lint_pipeline(data: bytes | str, files: Collection[str] | None = None) -> LintOutcome:
    """Lint the content of a file. It never raises.

    Args:
        files: the files of the source, if they are known.
    """
    from controller.pipeline.lint import lint

    result = lint(data, files)
    return LintOutcome(result.diagnostics, result.pipeline)


def lint_file(file: PipelineFile, cwd: Path) -> LintOutcome:
    """Lint a file, together with the tree around it if steps name their inputs. It never raises."""
    outcome = lint_pipeline(file.data)
    if outcome.definition is None or not any("inputs" in step for step in outcome.definition["steps"]):
        return outcome
    try:
        files = list_names(tree_root(file.path, cwd))
    except WorktreeError:
        # A run says why its files can't be read; the file may be fine.
        return outcome
    return lint_pipeline(file.data, files)


def resolve_params(definition: Mapping[str, Any], given: Mapping[str, str]) -> None:
    """Check the parameters of a pipeline.

    Raises:
        ParameterError: one is unknown, missing, or has a value that is not among its options.
    """
    from controller.pipeline.params import resolve_params

    _, wrong = resolve_params(definition.get("params") or [], given)
    if wrong:
        raise ParameterError("; ".join(sentence for _, sentence in wrong))


def explain_trigger(definition: Mapping[str, Any], event: str, branch: str, changed: tuple[str, ...] | None) -> str:
    """Whether the event would start a run, as text. `changed` is None if the changed files are not known."""
    from controller.pipeline.conditions import TriggerContext, evaluate_trigger

    found = evaluate_trigger(definition, TriggerContext(event=event, branch=branch, changed=changed))
    what = f"{event} on {branch}" if event != "tag" else event
    return f"{what}: would run" if found.runs else f"{what}: would not run, {found.reason}"


def schema_document() -> str:
    """The JSON Schema of pipeline files, as text."""
    from controller.pipeline.lint import schema

    return json.dumps(schema(), indent=2)


def display_path(path: Path, cwd: Path) -> str:
    """The path relative to `cwd` if it is below, else unchanged."""
    try:
        return str(path.relative_to(cwd))
    except ValueError:
        return str(path)
