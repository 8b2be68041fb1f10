"""Validates a run's pipeline and parameters, and brings the pipeline into the form that a run carries."""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.api.http import problems
from controller.api.http.problems import ApiProblemError, problem_entry
from controller.pipeline import definition as pipeline_definition
from controller.pipeline.diagnostics import Diagnostic
from controller.pipeline.params import resolve_params

Definition = dict[str, Any]


def validate_run(definition: Mapping[str, Any], params: Mapping[str, str]) -> tuple[Definition, dict[str, str]]:
    """The definition with `env` as maps and without a version, and the value of every parameter.

    Raises a problem `pipeline-invalid` that lists what is wrong, by path: a definition in JSON has no lines.
    """
    normalised = validate_definition(definition)
    values, invalid = resolve_params(normalised.get("params") or (), params)
    if invalid:
        entries = [problem_entry("parameter", message, path=f"params.{name}") for name, message in invalid]
        raise ApiProblemError("pipeline-invalid", f"a parameter is not valid: {invalid[0][1]}", entries)
    return normalised, values


def validate_definition(definition: Mapping[str, Any]) -> Definition:
    """The definition in the same form. Raises a problem `pipeline-invalid`."""
    try:
        pipeline = pipeline_definition.validate_definition(dict(definition))
    except pipeline_definition.InvalidDefinitionError as error:
        if found := error.diagnostics:
            detail = f"the pipeline is not valid: {found[0].message}"
            raise ApiProblemError("pipeline-invalid", detail, _problem_entries(found)) from None
        # What JSON Schema can't express, such as text that is not valid Unicode.
        entries = problems.problem_for_validation(error.model_errors).problems
        raise ApiProblemError("pipeline-invalid", "the pipeline is not valid", entries) from None
    return pipeline_definition.normalized_definition(pipeline)


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
