"""Validates values against the structural schema of a custom resource, with the messages of a real server.

An update is not checked where it leaves a value unchanged (ratcheting): a value that a newer schema forbids may stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from embedded.api.status_errors import FieldError
from embedded.crd import cel_rules
from embedded.crd.cel_rules import RuleBudget
from embedded.crd.formats import matches_format
from embedded.types import JsonObject

_INT_OR_STRING = "x-kubernetes-int-or-string"
_RULES = "x-kubernetes-validations"
_BLOCKING = (
    *("FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany"),
    "FieldValueTypeInvalid",
)
"""The reasons of errors after which a real server does not check the rules: they could not rely on the schema."""
_UNCHECKED = FieldError(
    "FieldValueInvalid",
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing "
    "errors to complete validation",
)
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def validate_value(
    value: Any, schema: JsonObject, old: Any = None, path: str = "", budget: RuleBudget | None = None
) -> Iterator[FieldError]:
    """Validate a value; `old` is the value before an update, None when there was none.

    Args:
        budget: what the rules of the object may cost together, of which this is a part.
    """
    if old is not None and value == old:
        return
    if budget is not None:
        yield from _validate_value(value, schema, old, path, budget)
        return
    budget = RuleBudget()
    errors = list(_validate_value(value, schema, old, path, budget))
    yield from errors
    if any(error.reason in _BLOCKING for error in errors) and _has_rules(schema):
        yield _UNCHECKED
    else:
        yield from budget.errors


def _has_rules(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_has_rules, schema))
    return isinstance(schema, dict) and (_RULES in schema or any(map(_has_rules, schema.values())))


def _validate_value(value: Any, schema: JsonObject, old: Any, path: str, budget: RuleBudget) -> Iterator[FieldError]:
    if value is None:
        if not schema.get("nullable") and schema.get("type"):
            message = f'Invalid value: "null": {path} in body must be of type {schema["type"]}: "null"'
            yield FieldError("FieldValueTypeInvalid", path, message)
        return
    if schema.get(_INT_OR_STRING):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield _wrong_type(value, "integer,string", path)
            return
    elif (expected := schema.get("type")) and not _has_type(value, expected):
        yield _wrong_type(value, expected, path)
        return
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(json.dumps(choice) for choice in schema["enum"])
        message = f"Unsupported value: {json.dumps(value)}: supported values: {supported}"
        yield FieldError("FieldValueNotSupported", path, message)
    if isinstance(value, str):
        yield from _validate_string(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _validate_number(value, schema, path)
    elif isinstance(value, list):
        yield from _validate_list(value, schema, old, path, budget)
    elif isinstance(value, dict):
        yield from _validate_object(value, schema, old, path, budget)
    yield from _validate_combinations(value, schema, path, budget)
    budget.errors += cel_rules.validate_rules(value, schema, old, path, budget)


def _has_type(value: Any, expected: str) -> bool:
    if expected == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[expected]) and (expected == "boolean" or not isinstance(value, bool))


def _wrong_type(value: Any, expected: str, path: str) -> FieldError:
    is_a = _NAMES.get(type(value), "null")
    return FieldError(
        "FieldValueTypeInvalid",
        path,
        f'Invalid value: "{is_a}": {path} in body must be of type {expected}: "{is_a}"',
    )


def _invalid(value: Any, path: str, detail: str) -> FieldError:
    displayed = json.dumps(value, ensure_ascii=False)
    return FieldError("FieldValueInvalid", path, f"Invalid value: {displayed[:200]}: {path} in body {detail}")


def _validate_string(value: str, schema: JsonObject, path: str) -> Iterator[FieldError]:
    if (limit := schema.get("maxLength")) is not None and len(value) > limit:
        yield FieldError("FieldValueTooLong", path, f"Too long: may not be more than {limit} bytes")
    if (minimum := schema.get("minLength")) is not None and len(value) < minimum:
        yield _invalid(value, path, f"should be at least {minimum} chars long")
    if (pattern := schema.get("pattern")) and (detail := _pattern_error(value, pattern)):
        yield _invalid(value, path, detail)
    if (format_name := schema.get("format")) and not matches_format(value, format_name):
        displayed = json.dumps(value, ensure_ascii=False)
        message = f"Invalid value: {displayed[:200]}: {path} in body must be of type {format_name}: {displayed[:200]}"
        yield FieldError("FieldValueTypeInvalid", path, message)


def _pattern_error(value: str, pattern: str) -> str:
    """Why a value does not match a pattern, or is too long to be checked; empty when it matches."""
    # Imported at the first pattern: most clusters have none.
    from embedded.regex import PatternBudgetError, compile_pattern

    try:
        return "" if compile_pattern(pattern).is_match(value) else f"should match '{pattern}'"
    except PatternBudgetError as error:
        return f"cannot be checked against its pattern: {error}"


def _validate_number(value: float, schema: JsonObject, path: str) -> Iterator[FieldError]:
    if (step := schema.get("multipleOf")) and abs(value / step - round(value / step)) > 1e-9:
        yield _invalid(value, path, f"should be a multiple of {step}")
    if (limit := schema.get("maximum")) is not None:
        if schema.get("exclusiveMaximum") and value >= limit:
            yield _invalid(value, path, f"should be less than {limit}")
        elif value > limit:
            yield _invalid(value, path, f"should be less than or equal to {limit}")
    if (minimum := schema.get("minimum")) is not None:
        if schema.get("exclusiveMinimum") and value <= minimum:
            yield _invalid(value, path, f"should be greater than {minimum}")
        elif value < minimum:
            yield _invalid(value, path, f"should be greater than or equal to {minimum}")
    bits = {"int32": 31, "int64": 63}.get(schema.get("format", ""))
    if bits and not -(1 << bits) <= value < 1 << bits:
        yield _invalid(value, path, f"must be of type {schema['format']}: {json.dumps(value)}")


def _validate_list(
    value: list[Any], schema: JsonObject, old: Any, path: str, budget: RuleBudget
) -> Iterator[FieldError]:
    if (minimum := schema.get("minItems")) is not None and len(value) < minimum:
        yield _invalid(len(value), path, f"should have at least {minimum} items")
    if (limit := schema.get("maxItems")) is not None and len(value) > limit:
        yield FieldError("FieldValueTooMany", path, f"Too many: {len(value)}: must have at most {limit} items")
    keys = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
    before = {_item_key(item, keys): item for item in old} if keys and isinstance(old, list) else {}
    for index, item in enumerate(value):
        was = before.get(_item_key(item, keys)) if keys else None
        yield from validate_value(item, schema.get("items") or {}, was, f"{path}[{index}]", budget)
    if schema.get("x-kubernetes-list-type") in ("set", "map"):
        yield from _validate_unique(value, keys, path)


def _item_key(item: Any, keys: list[str] | None) -> str:
    """The key of an item of a set or keyed list."""
    if keys and isinstance(item, dict):
        item = {key: item.get(key) for key in keys}
    return json.dumps(item, sort_keys=True, separators=(",", ":"))


def _validate_unique(value: list[Any], keys: list[str] | None, path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, item in enumerate(value):
        known = _item_key(item, keys)
        if known in seen:
            yield FieldError("FieldValueDuplicate", f"{path}[{index}]", f"Duplicate value: {known}")
        seen.add(known)


def _validate_object(
    value: JsonObject, schema: JsonObject, old: Any, at: str, budget: RuleBudget
) -> Iterator[FieldError]:
    properties = schema.get("properties", {})
    before = old if isinstance(old, dict) else {}
    for name in schema.get("required", ()):
        if name not in value:
            yield FieldError("FieldValueRequired", f"{at}.{name}" if at else name, "Required value")
    if (minimum := schema.get("minProperties")) is not None and len(value) < minimum:
        yield _invalid(len(value), at, f"should have at least {minimum} properties")
    if (limit := schema.get("maxProperties")) is not None and len(value) > limit:
        yield FieldError("FieldValueTooMany", at, f"Too many: {len(value)}: must have at most {limit} items")
    additional = schema.get("additionalProperties")
    for name, item in value.items():
        path = f"{at}.{name}" if at else name
        if name in properties:
            yield from validate_value(item, properties[name], before.get(name), path, budget)
        elif isinstance(additional, dict):
            yield from validate_value(item, additional, before.get(name), path, budget)


def _validate_combinations(value: Any, schema: JsonObject, path: str, budget: RuleBudget) -> Iterator[FieldError]:
    """Validate allOf, anyOf, oneOf and not, which contain only value validations in a structural schema."""

    def fitting(branches: list[JsonObject]) -> list[bool]:
        return [next(_validate_value(value, branch, None, path, budget), None) is None for branch in branches]

    def missed(detail: str) -> FieldError:
        return FieldError("FieldValueInvalid", path, f'Invalid value: "": "{path}" {detail}')

    if branches := schema.get("allOf"):
        errors = [each for branch in branches for each in _validate_value(value, branch, None, path, budget)]
        yield from errors
        if errors:
            yield missed("must validate all the schemas (allOf)")
    if (branches := schema.get("anyOf")) and not schema.get(_INT_OR_STRING) and not any(fitting(branches)):
        yield missed("must validate at least one schema (anyOf)")
    if branches := schema.get("oneOf"):
        count = sum(fitting(branches))
        if count != 1:
            message = "Found none valid" if not count else f"Found {count} valid alternatives"
            yield missed(f"must validate one and only one schema (oneOf). {message}")
    if (branch := schema.get("not")) is not None and fitting([branch])[0]:
        yield missed("must not validate the schema (not)")
