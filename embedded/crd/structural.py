"""Defaulting and pruning by the structural schema of a custom resource. `schema_validation` checks the values."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from embedded.types import JsonObject

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_INT_OR_STRING = "x-kubernetes-int-or-string"
# Fields of every object, whether or not its schema has them.
_TYPE_AND_OBJECT_META = ("apiVersion", "kind", "metadata")


def set_defaults(value: Any, schema: JsonObject) -> None:
    """Set defaults and drop nulls of fields that are not nullable, in place."""
    if isinstance(value, dict):
        for name, sub in schema.get("properties", {}).items():
            # A null in a field that is not nullable counts as absent.
            absent = name not in value or (value[name] is None and not sub.get("nullable"))
            if absent and "default" in sub:
                value[name] = copy.deepcopy(sub["default"])
            if name in value and value[name] is None and not sub.get("nullable"):
                del value[name]
            elif name in value:
                set_defaults(value[name], sub)
        if isinstance(additional := schema.get("additionalProperties"), dict):
            for name in [name for name in value if name not in schema.get("properties", {})]:
                if value[name] is None and not additional.get("nullable"):
                    del value[name]
                else:
                    set_defaults(value[name], additional)
    elif isinstance(value, list) and isinstance(items := schema.get("items"), dict):
        for item in value:
            set_defaults(item, items)


def prune(obj: JsonObject, schema: JsonObject) -> list[str]:
    """Drop unknown fields, in place; returns their paths (`spec.unknown`)."""
    return list(_prune(obj, schema, "", top=True))


def _prune(value: Any, schema: JsonObject, at: str, *, top: bool = False) -> Iterator[str]:
    if isinstance(value, list):
        # A list whose schema preserves unknown fields, and says nothing of its items, keeps these as they are.
        items = schema.get("items") or ({_PRESERVE: True} if schema.get(_PRESERVE) else {})
        for index, item in enumerate(value):
            yield from _prune(item, items, f"{at}[{index}]")
    if not isinstance(value, dict):
        return
    properties = schema.get("properties", {})
    additional = schema.get("additionalProperties")
    top = top or bool(schema.get(_EMBEDDED))
    keep = schema.get(_PRESERVE) or schema.get(_INT_OR_STRING) or additional is True
    for name in list(value):
        path = f"{at}.{name}" if at else name
        if top and name in _TYPE_AND_OBJECT_META:
            continue
        if name in properties:
            yield from _prune(value[name], properties[name], path)
        elif isinstance(additional, dict):
            yield from _prune(value[name], additional, path)
        elif not keep:
            del value[name]
            yield path
