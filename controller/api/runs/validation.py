"""Checks a run's pipeline as the pipeline room sees it, and brings it into the one form that a run carries."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from controller.api.http import problems
from controller.api.http.problems import ApiProblemError, problem_entry
from controller.pipeline.diagnostics import Diagnostic
from controller.pipeline.lint import check_definition
from controller.pipeline.model import Pipeline
from controller.pipeline.params import resolve_params

Definition = dict[str, Any]


def validate_run(definition: Mapping[str, Any], params: Mapping[str, str]) -> tuple[Definition, dict[str, str]]:
    """The definition with `env` as maps and without a version, and the value of every parameter.

    A problem `pipeline-invalid` lists what is wrong; positions mean nothing there, paths do.
    """
    normalised = validate_definition(definition)
    values, wrong = resolve_params(normalised.get("params") or (), params)
    if wrong:
        listed = [problem_entry("parameter", sentence, path=f"params.{name}") for name, sentence in wrong]
        raise ApiProblemError("pipeline-invalid", f"a parameter is not valid: {wrong[0][1]}", listed)
    return normalised, values


def validate_definition(definition: Mapping[str, Any]) -> Definition:
    """The definition alone, in the same form."""
    found = check_definition(dict(definition))
    if found:
        raise ApiProblemError(
            "pipeline-invalid", f"the pipeline is not valid: {found[0].message}", _problem_entries(found)
        )
    try:
        pipeline = Pipeline.model_validate(definition)
    except ValidationError as error:
        # What JSON Schema can't say, such as text that is no Unicode.
        listed = problems.problem_for_validation(error.errors()).problems
        raise ApiProblemError("pipeline-invalid", "the pipeline is not valid", listed) from None
    return pipeline.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"version"})


def serialize_diagnostic(problem: Diagnostic) -> dict[str, Any]:
    """A finding of lint as the API gives it."""
    return {
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint or None,
    }


def _problem_entries(found: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    return [
        problem_entry(each.code, each.message, path=each.path, hint=each.hint or None, severity=each.severity)
        for each in found
    ]
