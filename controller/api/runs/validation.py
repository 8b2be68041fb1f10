"""Validates a run's pipeline and parameters, and brings the pipeline into the form that a run carries."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from controller.api.http import problems
from controller.api.http.problems import ApiProblemError, problem_entry
from controller.pipeline import definition as pipeline_definition
from controller.pipeline.conditions import TriggerContext, evaluate_trigger
from controller.pipeline.diagnostics import Diagnostic
from controller.pipeline.graph.expand import expand_steps
from controller.pipeline.graph.run_size import oversize_reason
from controller.pipeline.lint import lint
from controller.pipeline.model import Pipeline
from controller.pipeline.params import resolve_params
from controller.pipeline.run_cost import RunTooExpensiveError, check_run_cost
from controller.pipeline.variables import RunContext

Definition = dict[str, Any]

_LIKELY_NUMBER = "10000"
"""Stands for the run's number, which is not known yet, where sizes are counted."""


def validate_run(
    definition: Mapping[str, Any],
    params: Mapping[str, str],
    *,
    branch: str | None = None,
    commit: str | None = None,
    changed_files: Sequence[str] | None = None,
) -> tuple[Definition, dict[str, str]]:
    """The definition with `env` as maps and without a version, and the value of every parameter.

    Raises a problem `pipeline-invalid` that lists what is wrong, by path: a definition in JSON has no lines. A run that
    would cost too much to prepare is one, too.
    """
    pipeline = _validate_pipeline(definition)
    normalised = pipeline_definition.normalized_definition(pipeline)
    values, invalid = resolve_params(normalised.get("params") or (), params)
    if invalid:
        entries = [problem_entry("parameter", message, path=f"params.{name}") for name, message in invalid]
        raise ApiProblemError("pipeline-invalid", f"a parameter is not valid: {invalid[0][1]}", entries)
    context = RunContext(f"{pipeline.name}-{_LIKELY_NUMBER}", _LIKELY_NUMBER, commit or "", branch or "", values)
    try:
        check_run_cost(pipeline, expand_steps(pipeline), context, changed_files)
    except RunTooExpensiveError as error:
        entries = [problem_entry("run.too-expensive", str(error))]
        raise ApiProblemError("pipeline-invalid", f"the run is too expensive: {error}", entries) from None
    return normalised, values


def validate_definition(definition: Mapping[str, Any]) -> Definition:
    """The definition in the same form. Raises a problem `pipeline-invalid`."""
    return pipeline_definition.normalized_definition(_validate_pipeline(definition))


def _validate_pipeline(definition: Mapping[str, Any]) -> Pipeline:
    try:
        return pipeline_definition.validate_definition(dict(definition))
    except pipeline_definition.InvalidDefinitionError as error:
        if found := error.diagnostics:
            detail = f"the pipeline is not valid: {found[0].message}"
            raise ApiProblemError("pipeline-invalid", detail, _problem_entries(found)) from None
        # What JSON Schema can't express, such as text that is not valid Unicode.
        entries = problems.problem_for_validation(error.model_errors).problems
        raise ApiProblemError("pipeline-invalid", "the pipeline is not valid", entries) from None


def require_fitting_size(spec: Mapping[str, Any]) -> None:
    """Check that a run with this spec can be stored together with its status. Raises a problem `pipeline-invalid`.

    Args:
        spec: with a definition that `validate_definition` has accepted.
    """
    pipeline = pipeline_definition.validate_definition(spec["pipeline"])
    reason = oversize_reason(dict(spec), pipeline, expand_steps(pipeline))
    if reason is not None:
        entry = problem_entry("run.too-large", reason, path="pipeline")
        raise ApiProblemError("pipeline-invalid", f"the run is too large: {reason}", [entry])


def serialize_diagnostic(diagnostic: Diagnostic) -> dict[str, Any]:
    """A diagnostic of lint as the API returns it."""
    return {
        "line": diagnostic.line,
        "column": diagnostic.column,
        "path": diagnostic.path,
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "hint": diagnostic.hint or None,
    }


def _problem_entries(found: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    return [
        problem_entry(each.code, each.message, path=each.path, hint=each.hint or None, severity=each.severity)
        for each in found
    ]


def lint_response(text: str, event: str | None, branch: str | None) -> dict[str, Any]:
    """The diagnostics and, if an event was given and the pipeline can be read, whether it would start a run."""
    result = lint(text)
    found: dict[str, Any] = {"problems": [serialize_diagnostic(problem) for problem in result.diagnostics]}
    if event is not None and result.pipeline is not None:
        verdict = evaluate_trigger(result.pipeline, TriggerContext(event=event, branch=branch or ""))
        found["wouldRun"] = {"runs": verdict.runs, "why": verdict.reason}
    return found
