"""Lint: everything that is wrong with a pipeline file, each with its place and what would be right.

It imports no pydantic, so that checking a file takes a fraction of a second:
the committed JSON Schema says what is allowed, `rules` what makes sense.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from controller.pipeline import features, rules, source
from controller.pipeline.problems import Places, Problem, did_you_mean, spoken_path

Json = dict[str, Any]

_SCHEMA_FILE = Path(__file__).with_name("schema.json")
_HINTS = {
    "^[0-9]+(s|m|h)$": "write a number and s, m or h, such as 30s, 10m or 2h",
    "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "use lower-case letters, digits and dashes, such as unit-tests",
    "^[A-Za-z_][A-Za-z0-9_]*$": "use letters, digits and underscores, not beginning with a digit",
    r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$": "write a Kubernetes quantity, such as 500m, 2 or 512Mi",
}
_KINDS = {
    "object": "a map",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
}


@dataclass(frozen=True)
class LintResult:
    """`pipeline` is the normalised definition when there is no error: `env` as maps, no version."""

    problems: tuple[Problem, ...]
    pipeline: Json | None

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")


@cache
def schema() -> Json:
    loaded: Json = json.loads(_SCHEMA_FILE.read_text(encoding="utf-8"))
    return loaded


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


def lint(text: str | bytes) -> LintResult:
    """Check a pipeline file. Never raises, whatever the text."""
    read = source.read(text, schema())
    if read.data is None and read.problems:
        return LintResult(read.problems, None)
    if not isinstance(read.data, dict):
        what = "a list" if isinstance(read.data, list) else "a single value"
        message = f"a pipeline is a map with name and steps; this is {what}"
        return LintResult((read.places.problem((), "not-a-map", message),), None)
    found = [*read.problems, *_schema_problems(read.data, read.places)]
    pipeline = _normalised(read.data) if not found else None
    # The rules look at what has the right shape; they come also when other places are wrong.
    found += rules.check(read.data, read.places)
    if pipeline is not None:
        found += [
            read.places.problem(path, "not-supported", message, "leave it out for this version")
            for path, message in features.unsupported(pipeline)
        ]
    ordered = tuple(sorted(dict.fromkeys(found), key=lambda p: (p.line, p.column, p.code)))
    good = pipeline if not any(problem.severity == "error" for problem in ordered) else None
    return LintResult(ordered, good)


def check_definition(definition: Json) -> tuple[Problem, ...]:
    """The errors of a definition that came as JSON; positions mean nothing there, paths do."""
    data = {"version": "v1alpha1", **definition}
    places = Places({}, {})
    found = [*_schema_problems(data, places), *rules.check(data, places)]
    if not found:
        found = [
            places.problem(path, "not-supported", message) for path, message in features.unsupported(_normalised(data))
        ]
    return tuple(problem for problem in found if problem.severity == "error")


def _normalised(data: Json) -> Json:
    pipeline = {key: value for key, value in data.items() if key != "version"}
    pipeline["steps"] = [_with_env_map(step) for step in data["steps"]]
    return _with_env_map(pipeline)


def _with_env_map(holder: Json) -> Json:
    env = holder.get("env")
    if isinstance(env, list):
        return {**holder, "env": {entry["name"]: entry.get("value") or "" for entry in env}}
    return holder


def _schema_problems(data: Json, places: Places) -> Iterator[Problem]:
    for error in _validator().iter_errors(data):
        yield from _from_schema(error, places)


def _from_schema(error: ValidationError, places: Places) -> Iterable[Problem]:
    path = tuple(error.absolute_path)
    keyword, value, at = error.validator, error.instance, spoken_path(path) or "the pipeline"
    if keyword == "anyOf":
        inner = [e for e in error.context or () if e.validator != "type" or len(e.absolute_path) > len(path)]
        if inner:
            return [problem for e in inner for problem in _from_schema(e, places)]
        return [places.problem(path, "wrong-type", f"`{at}` must be a map NAME: value, or a list of name and value")]
    if keyword == "additionalProperties":
        return list(_unknown_fields(error, places))
    if keyword == "required":
        missing = error.message.split("'")[1]
        hint = f"add `{missing}:`"
        return [places.problem(path, "missing-field", f"`{missing}` is missing in {at}", hint)]
    if keyword == "type":
        return [places.problem(path, "wrong-type", f"`{at}` must be {_wanted(error)}, not {_given(value)}")]
    if keyword == "enum":
        choices = [str(choice) for choice in error.validator_value]
        hint = did_you_mean(str(value), choices)
        return [places.problem(path, "wrong-value", f"`{at}` must be {' or '.join(choices)}, not {value!r}", hint)]
    if keyword == "pattern":
        hint = _HINTS.get(str(error.validator_value), f"it has to match {error.validator_value}")
        return [places.problem(path, "wrong-form", f"`{at}` can't be {_short(value)}", hint)]
    return [places.problem(path, "wrong-value", f"`{at}`: {_words(error)}")]


def _unknown_fields(error: ValidationError, places: Places) -> Iterator[Problem]:
    wanted = error.schema
    known = list(wanted.get("properties", {}))
    at = spoken_path(tuple(error.absolute_path)) or "the pipeline"
    for key in error.instance:
        path = (*error.absolute_path, key)
        if not known:
            hint = next(iter(_HINTS[p] for p in wanted.get("patternProperties", {}) if p in _HINTS), "")
            if not Draft202012Validator(wanted).is_valid({key: error.instance[key]}):
                yield places.problem(path, "wrong-form", f"`{key}` can't be a name in {at}", hint, at_key=True)
        elif key not in known:
            hint = did_you_mean(str(key), known) or f"known here: {', '.join(known)}"
            yield places.problem(path, "unknown-field", f"unknown field `{key}` in {at}", hint, at_key=True)


def _wanted(error: ValidationError) -> str:
    kinds = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    return " or ".join(_KINDS.get(kind, str(kind)) for kind in kinds)


def _given(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return _short(value)


def _short(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else shown[:57] + "…"


def _words(error: ValidationError) -> str:
    limit = error.validator_value
    sentences = {
        "minItems": f"needs at least {limit} entry" if limit == 1 else f"needs at least {limit} entries",
        "maxItems": f"has {len(error.instance) if isinstance(error.instance, list) else '?'} entries, at most {limit} are allowed",
        "minProperties": f"needs at least {limit} entry",
        "minLength": "must not be empty",
        "maxLength": f"is longer than {limit} characters",
        "minimum": f"must be at least {limit}",
        "maximum": f"must be at most {limit}",
    }
    return sentences.get(str(error.validator), "is not allowed as it is")
