"""JSON Schema errors of a pipeline as diagnostics, with their position and how to fix them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from controller.pipeline.diagnostics import (
    Diagnostic,
    SourceMap,
    did_you_mean,
    format_path,
    join_words,
    quote,
    sanitize,
)
from controller.pipeline.normalize import EXTENSION_PREFIX

Json = dict[str, Any]
_Path = tuple[str | int, ...]

_SCHEMA_FILE = Path(__file__).parents[1] / "schema.json"
_PATTERN_HINTS = (
    ("^[0-9]+(s|m|h)$", "write a number and s, m or h, such as 30s, 10m or 2h"),
    ("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "use lower-case letters, digits and dashes, such as unit-tests"),
    ("^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "use lower-case letters, digits, dashes and dots, such as registry-login"),
    ("^[-._a-zA-Z0-9]+$", "use letters, digits, dashes, dots and underscores"),
    ("^[A-Za-z_]", "use letters, digits and underscores, not beginning with a digit"),
    ("^[-._A-Za-z]", "use letters, digits and underscores, not beginning with a digit, such as LOG_LEVEL"),
    ("^[A-Za-z0-9_]", "use letters, digits, dashes, dots and underscores, at most 63"),
    (r"^[0-9]+(\.", "write a number and a unit, such as 500m or 2 for cpu, 512Mi or 2Gi for memory"),
)
_MISSING_FIELD_HINTS = {
    "version": "add `version: v1alpha1`",
    "name": "add `name:` with a short name in lower-case letters, digits and dashes",
    "steps": "add `steps:` with a list of steps, each with name, image and commands",
    "image": "add `image:` with the container image that has the tools, such as python:3.12-slim",
    "commands": "add `commands:` with a list of shell commands",
    "secretRef": "add `secretRef:` with the Secret's name",
    "key": "add `key:`",
    "path": "add `path:` with a pattern such as dist/**",
}
_TYPE_NAMES = {
    "object": "a map",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
}


@cache
def editor_schema() -> Json:
    """The schema for editors."""
    loaded: Json = json.loads(_SCHEMA_FILE.read_text(encoding="utf-8"))
    return loaded


@cache
def strict_schema() -> Json:
    """The schema of data after parsing, when every text is a string."""
    schema: Json = _strict(editor_schema())
    return schema


def _kind(schema: Json) -> str:
    """The first type that a schema allows."""
    kind = schema.get("type", "")
    return str(kind[0]) if isinstance(kind, list) else str(kind)


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "anyOf" in node and [_kind(option) for option in node["anyOf"]] == ["string", "array"]:
        # The reader splices lists into lists of texts.
        return _strict(node["anyOf"][0])
    fresh = {key: _strict(value) for key, value in node.items()}
    if isinstance(node.get("type"), list) and "string" in node["type"]:
        fresh["type"] = "string"
    return fresh


def validate_schema(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    """A diagnostic for each schema error."""
    for error in _validator().iter_errors(data):
        yield from _describe_error(error, data, source_map)


# -- keywords as this schema means them: Python's `$` also matches before a line break, and 1.0 is not an integer


@cache
def _full_match_pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.removesuffix("$") + r"\Z")


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _full_match_pattern(pattern).match(instance):
        yield ValidationError("pattern")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, sub in patterns.items():
            for key, value in instance.items():
                if _full_match_pattern(pattern).match(key):
                    yield from validator.descend(value, sub, path=key, schema_path=pattern)


def _additional_properties(_validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if allowed is False and isinstance(instance, dict) and list(_unknown_keys(instance, schema)):
        yield ValidationError("additional")


def _unknown_keys(instance: Mapping[str, Any], schema: Json) -> Iterator[str]:
    known, patterns = (
        schema.get("properties", {}),
        [_full_match_pattern(p) for p in schema.get("patternProperties", {})],
    )
    return (key for key in instance if key not in known and not any(p.match(key) for p in patterns))


def _required(_validator: Any, names: list[str], instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for name in names:
            if name not in instance:
                yield ValidationError(name)


def _type(validator: Any, kind: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, kind):
        yield ValidationError("type")


@cache
def _validator() -> Draft202012Validator:
    words: Any = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "required": _required,
        "type": _type,
    }
    kinds = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    make: Any = extend
    made: Draft202012Validator = make(Draft202012Validator, words, type_checker=kinds)(strict_schema())
    return made


# -- messages


def _describe_error(error: Any, data: Json, source_map: SourceMap) -> Iterable[Diagnostic]:
    path: _Path = tuple(error.absolute_path)
    keyword, value, at = error.validator, error.instance, format_path(path) or "the pipeline"
    if keyword == "anyOf":
        return _describe_any_of(error, data, source_map)
    if keyword == "additionalProperties":
        return _describe_unknown_fields(error, data, source_map)
    if keyword == "required":
        message = f"`{error.message}` is missing in {_describe_parent(path, data)}"
        return [
            source_map.diagnostic(
                path, "missing-field", message, _MISSING_FIELD_HINTS.get(error.message, f"add `{error.message}:`")
            )
        ]
    if keyword == "type":
        return [_describe_wrong_type(path, at, error.validator_value, value, source_map)]
    if keyword == "enum":
        choices = [str(choice) for choice in error.validator_value]
        message = f"`{at}` must be {' or '.join(choices)}, not {_describe_value(value)}"
        return [source_map.diagnostic(path, "wrong-value", message, did_you_mean(str(value), choices))]
    if keyword == "pattern":
        message = f"`{at}` can't be {_describe_value(value)}"
        return [source_map.diagnostic(path, "wrong-form", message, _pattern_hint(str(error.validator_value), value))]
    return [source_map.diagnostic(path, "wrong-value", f"`{at}` {_describe_limit(error)}")]


def _describe_any_of(error: Any, data: Json, source_map: SourceMap) -> Iterable[Diagnostic]:
    """`env` and artifacts have two forms: describe the errors of the form that the file uses."""
    path: _Path = tuple(error.absolute_path)
    inner = [e for e in error.context or () if e.validator != "type" or len(e.absolute_path) > len(path)]
    if inner:
        return [diagnostic for e in inner for diagnostic in _describe_error(e, data, source_map)]
    forms = "a map NAME: value, or a list of name and value"
    if "artifacts" in path:
        forms = "a pattern such as dist/**, or a map such as {path: dist/**, optional: true}"
    message = f"`{format_path(path)}` must be {forms}"
    return [source_map.diagnostic(path, "wrong-type", message)]


def _describe_unknown_fields(error: Any, data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    path: _Path = tuple(error.absolute_path)
    known = list(error.schema.get("properties", {}))
    patterns = list(error.schema.get("patternProperties", {}))
    for key in _unknown_keys(error.instance, error.schema):
        if patterns and not known:
            message = f"{quote(key)} can't be a name in `{format_path(path)}`"
            yield source_map.diagnostic(
                (*path, key), "wrong-form", message, _pattern_hint(patterns[0], key), at_key=True
            )
        else:
            hint = _misplaced_field_hint(key, path) or did_you_mean(key, known) or f"known here: {', '.join(known)}"
            message = f"unknown field {quote(key)} in {_describe_parent(path, data)}"
            yield source_map.diagnostic((*path, key), "unknown-field", message, hint, at_key=True)


def _misplaced_field_hint(key: str, path: _Path) -> str:
    """A hint for a field that belongs elsewhere, otherwise ""."""
    if key.startswith("."):
        return f"a field whose name begins with x- is ignored: `{EXTENSION_PREFIX}{sanitize(key[1:], 60)}`"
    pipeline = strict_schema()["properties"]
    if path[:1] == ("steps",) and len(path) == 2 and key in pipeline:
        return f"`{key}` belongs to the pipeline, not to a step"
    if not path and key in pipeline["steps"]["items"]["properties"]:
        return f"`{key}` belongs to a step"
    return ""


def _describe_parent(path: _Path, data: Json) -> str:
    """What a path leads to, for a message: a step by its name."""
    if len(path) == 2 and path[0] == "steps":
        step = data["steps"][path[1]]
        name = step.get("name") if isinstance(step, dict) else None
        return f"the step {quote(name)}" if isinstance(name, str) and name else f"steps[{path[1]}]"
    return f"`{format_path(path)}`" if path else "the pipeline"


def _describe_wrong_type(path: _Path, at: str, expected: str, value: Any, source_map: SourceMap) -> Diagnostic:
    hint = ""
    if value is None:
        hint = 'write "" if an empty text is meant' if expected == "string" else "fill it in"
    elif expected == "array" and isinstance(value, str):
        hint = (
            f"write a list: [{sanitize(value, 40)}]" if len(value) <= 40 and " " not in value else "begin it with `- `"
        )
    elif expected == "string" and isinstance(value, dict):
        hint = "a text with `: ` in it needs quotes"
    elif expected in ("integer", "boolean") and isinstance(value, str):
        digits = value.isdigit() and len(value) <= 18
        hint = "leave the quotes out" if digits or value in ("true", "false") else ""
    message = f"`{at}` must be {_TYPE_NAMES.get(expected, expected)}, not {_describe_value(value)}"
    return source_map.diagnostic(path, "wrong-type", message, hint)


def _pattern_hint(pattern: str, value: Any) -> str:
    """A hint for a text that does not match a pattern; for a name also a corrected one."""
    hint = next((words for start, words in _PATTERN_HINTS if pattern.startswith(start)), f"it has to match {pattern}")
    if pattern == "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" and isinstance(value, str):
        likely = re.sub(r"[^a-z0-9]+", "-", value[:64].lower()).strip("-")
        return f"did you mean `{likely}`? {hint}" if likely else hint
    return hint


def _describe_value(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a map" if isinstance(value, dict) else "a list"
    shown = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else f'"{sanitize(value, 60)}"'
    return shown[:60]


def _describe_limit(error: Any) -> str:
    limit, value = error.validator_value, error.instance
    entries = "entry" if limit == 1 else "entries"
    sentences = {
        "minItems": f"needs at least {limit} {entries}",
        "minProperties": f"needs at least {limit} {entries}",
        "maxItems": f"has {len(value) if isinstance(value, list) else 0} entries; at most {limit} are allowed",
        "maxProperties": f"has {len(value) if isinstance(value, dict) else 0} entries; at most {limit} are allowed",
        "minLength": "must not be empty",
        "maxLength": f"is longer than {limit} characters",
        "minimum": f"must be at least {limit}, not {value}",
        "maximum": f"must be at most {limit:,}, not {value}" if isinstance(limit, int) else "is too large",
    }
    return sentences.get(str(error.validator), f"is not allowed as it is ({join_words([str(error.validator)])})")
