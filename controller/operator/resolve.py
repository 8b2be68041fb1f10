"""What a run does that takes its pipeline from the repository, once the clone step has handed the file back: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from controller.operator.decision.observation import PipelineVerdict
from controller.operator.workload.clone_step import DEFAULT_PIPELINE_FILE
from controller.pipeline.definition import InvalidDefinitionError, normalized_definition, validate_definition
from controller.pipeline.diagnostics import Diagnostic, sanitize
from controller.pipeline.lint import lint
from controller.pipeline.match import Event, EventKind, match
from controller.run_types.phases import RunPhase
from controller.run_types.reasons import RunReason

if TYPE_CHECKING:
    from controller.run_types.objects import PipelineProblem

Json = dict[str, Any]

MAX_PROBLEMS = 20
"""Errors of a pipeline file that a run's status lists."""
_EVENTS: Mapping[str, EventKind] = {"push": "push", "tag": "tag", "pull_request": "pull_request"}


@dataclass(frozen=True)
class Resolution:
    """Either a definition to run, with the changed files if they are known, or why there is none."""

    definition: Json | None = None
    changed_files: tuple[str, ...] | None = None
    verdict: PipelineVerdict | None = None


def resolve_definition(document: Json, spec: Json) -> Resolution:
    """The definition of a run, from what its clone step reported.

    Args:
        document: `definition`, with the `text` of the file or the `problem` with it, and `changedFiles` if known.
        spec: of the run.
    """
    path = str(spec.get("pipelineFile") or DEFAULT_PIPELINE_FILE)
    found = document.get("definition") or {}
    text = found.get("text")
    if not isinstance(text, str):
        problem = sanitize(str(found.get("problem") or f"{path} was not reported by the clone step"))
        return Resolution(verdict=invalid_verdict(problem))
    result = lint(text)
    if result.pipeline is None or result.errors:
        return Resolution(verdict=_lint_verdict(path, result.errors))
    try:
        definition = normalized_definition(validate_definition(result.pipeline))
    except InvalidDefinitionError as error:
        return Resolution(verdict=invalid_verdict(f"{path}: {error}"))
    changed = spec["changedFiles"] if "changedFiles" in spec else document.get("changedFiles")
    changed = tuple(changed) if changed is not None else None
    reason = _unmatched_reason(definition, spec, changed)
    if reason:
        message = f"pipeline {definition['name']} does not run: {reason}"
        return Resolution(verdict=PipelineVerdict(RunPhase.CANCELLED, RunReason.NOT_TRIGGERED, message))
    return Resolution(definition, changed)


def invalid_verdict(message: str) -> PipelineVerdict:
    """The verdict on a run whose pipeline is not valid."""
    return PipelineVerdict(RunPhase.FAILED, RunReason.INVALID_PIPELINE, message)


def _lint_verdict(path: str, errors: tuple[Diagnostic, ...]) -> PipelineVerdict:
    problems: list[PipelineProblem] = [
        {
            "file": path,
            "line": each.line,
            "column": each.column,
            "message": each.message + (f" ({each.hint})" if each.hint else ""),
        }
        for each in errors[:MAX_PROBLEMS]
    ]
    first = problems[0]
    others = len(errors) - 1
    more = "" if not others else ", and 1 more error" if others == 1 else f", and {others} more errors"
    message = f"{path}:{first['line']}:{first['column']}: {first['message']}{more}"
    return PipelineVerdict(RunPhase.FAILED, RunReason.INVALID_PIPELINE, message, tuple(problems))


def _unmatched_reason(definition: Json, spec: Json, changed: tuple[str, ...] | None) -> str:
    """Why the event of the run starts none of this pipeline; empty if it does, or a person started the run."""
    kind = _EVENTS.get(str(spec.get("event")))
    if kind is None:
        return ""
    name = str(spec.get("branch") or "")
    message = str((spec.get("trigger") or {}).get("message") or "")
    event = Event(kind, "" if kind == "tag" else name, name if kind == "tag" else "", changed, message)
    return match(event, cast("Mapping[str, Any]", definition)).reason
