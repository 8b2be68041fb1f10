"""Structural schemas of custom resources: defaults, pruning, validation. Words as a real server's."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from embedded.machinery.errors import Cause

Json = dict[str, Any]

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
# Part of every object, whatever its schema says.
_ENVELOPE = ("apiVersion", "kind", "metadata")


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def default(value: Any, schema: Json) -> None:
    """Fill in defaults, in place."""
    if isinstance(value, dict):
        for name, sub in schema.get("properties", {}).items():
            if name not in value and "default" in sub:
                value[name] = copy.deepcopy(sub["default"])
            if name in value:
                default(value[name], sub)
        if isinstance(more := schema.get("additionalProperties"), dict):
            for name, item in value.items():
                if name not in schema.get("properties", {}):
                    default(item, more)
    elif isinstance(value, list) and isinstance(items := schema.get("items"), dict):
        for item in value:
            default(item, items)


def prune(obj: Json, schema: Json) -> list[str]:
    """Drop unknown fields, in place; returns their paths (`spec.unknown`)."""
    return list(_prune(obj, schema, "", top=True))


def _prune(value: Any, schema: Json, at: str, *, top: bool = False) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _prune(item, schema.get("items") or {}, f"{at}[{index}]")
    if not isinstance(value, dict):
        return
    properties = schema.get("properties", {})
    more = schema.get("additionalProperties")
    keep = schema.get(_PRESERVE) or schema.get(_INT_OR_STRING) or more is True
    for name in list(value):
        path = f"{at}.{name}" if at else name
        if top and name in _ENVELOPE:
            continue
        if name in properties:
            yield from _prune(value[name], properties[name], path)
        elif isinstance(more, dict):
            yield from _prune(value[name], more, path)
        elif not keep:
            del value[name]
            yield path


def causes(value: Any, schema: Json, old: Any = None, at: str = "") -> Iterator[Cause]:
    """What is wrong with a value. `old` is its former self, for transition rules."""
    if value is None:
        if not schema.get("nullable") and schema.get("type"):
            message = f'Invalid value: "null": {at} in body must be of type {schema["type"]}: "null"'
            yield Cause("FieldValueTypeInvalid", at, message)
        return
    if schema.get(_INT_OR_STRING):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield _wrong_type(value, "integer,string", at)
        return
    wanted = schema.get("type")
    if wanted and (not isinstance(value, _TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean")):
        yield _wrong_type(value, wanted, at)
        return
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(json.dumps(choice) for choice in schema["enum"])
        message = f"Unsupported value: {json.dumps(value)}: supported values: {supported}"
        yield Cause("FieldValueNotSupported", at, message)
    if isinstance(value, str):
        yield from _string_causes(value, schema, at)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_causes(value, schema, at)
    elif isinstance(value, list):
        yield from _list_causes(value, schema, old, at)
    elif isinstance(value, dict):
        yield from _object_causes(value, schema, old, at)
    yield from _rule_causes(value, schema, old, at)


def _wrong_type(value: Any, wanted: str, at: str) -> Cause:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    is_a = names.get(type(value), "null")
    return Cause(
        "FieldValueTypeInvalid",
        at,
        f'Invalid value: "{is_a}": {at} in body must be of type {wanted}: "{is_a}"',
    )


def _invalid(value: Any, at: str, why: str) -> Cause:
    shown = json.dumps(value, ensure_ascii=False)
    return Cause("FieldValueInvalid", at, f"Invalid value: {shown[:200]}: {at} in body {why}")


def _string_causes(value: str, schema: Json, at: str) -> Iterator[Cause]:
    if (pattern := schema.get("pattern")) and not _pattern(pattern).search(value):
        yield _invalid(value, at, f"should match '{pattern}'")
    if (limit := schema.get("maxLength")) is not None and len(value) > limit:
        yield Cause("FieldValueTooLong", at, f"Too long: may not be more than {limit} bytes")
    if (least := schema.get("minLength")) is not None and len(value) < least:
        yield _invalid(value, at, f"should be at least {least} chars long")


def _number_causes(value: float, schema: Json, at: str) -> Iterator[Cause]:
    if (limit := schema.get("maximum")) is not None and value > limit:
        yield _invalid(value, at, f"should be less than or equal to {limit}")
    if (least := schema.get("minimum")) is not None and value < least:
        yield _invalid(value, at, f"should be greater than or equal to {least}")


def _list_causes(value: list[Any], schema: Json, old: Any, at: str) -> Iterator[Cause]:
    if (limit := schema.get("maxItems")) is not None and len(value) > limit:
        yield Cause("FieldValueTooMany", at, f"Too many: {len(value)}: must have at most {limit} items")
    if (least := schema.get("minItems")) is not None and len(value) < least:
        yield _invalid(len(value), at, f"should have at least {least} items")
    before = old if isinstance(old, list) else []
    for index, item in enumerate(value):
        was = before[index] if index < len(before) else None
        yield from causes(item, schema.get("items") or {}, was, f"{at}[{index}]")


def _object_causes(value: Json, schema: Json, old: Any, at: str) -> Iterator[Cause]:
    properties = schema.get("properties", {})
    before = old if isinstance(old, dict) else {}
    for name in schema.get("required", ()):
        if name not in value:
            yield Cause("FieldValueRequired", f"{at}.{name}" if at else name, "Required value")
    if (limit := schema.get("maxProperties")) is not None and len(value) > limit:
        yield Cause("FieldValueTooMany", at, f"Too many: {len(value)}: must have at most {limit} items")
    more = schema.get("additionalProperties")
    for name, item in value.items():
        path = f"{at}.{name}" if at else name
        if name in properties:
            yield from causes(item, properties[name], before.get(name), path)
        elif isinstance(more, dict):
            yield from causes(item, more, before.get(name), path)


def _rule_causes(value: Any, schema: Json, old: Any, at: str) -> Iterator[Cause]:
    """The one CEL rule evaluated here: `self == oldSelf`, which makes a field immutable."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if rule.get("rule", "").replace(" ", "") == "self==oldSelf" and old is not None and value != old:
            message = rule.get("message") or f"failed rule: {rule['rule']}"
            shown = (
                '"object"' if isinstance(value, dict) else '"array"' if isinstance(value, list) else json.dumps(value)
            )
            yield Cause("FieldValueInvalid", at, f"Invalid value: {shown}: {message}")
