"""Defaulting and pruning by the structural schema of a custom resource. `schema_validation` checks the values."""

from __future__ import annotations

from typing import Any

from embedded.types import JsonObject, copy_json

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_INT_OR_STRING = "x-kubernetes-int-or-string"
# Fields of every object, whether or not its schema has them.
_TYPE_AND_OBJECT_META = ("apiVersion", "kind", "metadata")
_NO_PROPERTIES: JsonObject = {}


def set_defaults(value: Any, schema: JsonObject) -> None:
    """Set defaults and drop nulls of fields that are not nullable, in place."""
    if isinstance(value, dict):
        properties = schema.get("properties", _NO_PROPERTIES)
        for name, sub in properties.items():
            if (current := value.get(name)) is not None:
                if isinstance(current, dict | list):
                    set_defaults(current, sub)
            elif not (name in value and sub.get("nullable")):
                # A null in a field that is not nullable counts as absent.
                value.pop(name, None)
                if "default" in sub:
                    _set_default(value, name, sub)
        if isinstance(additional := schema.get("additionalProperties"), dict):
            for name in [name for name in value if name not in properties]:
                if value[name] is None and not additional.get("nullable"):
                    del value[name]
                else:
                    set_defaults(value[name], additional)
    elif isinstance(value, list) and isinstance(items := schema.get("items"), dict):
        for item in value:
            set_defaults(item, items)


def _set_default(value: JsonObject, name: str, schema: JsonObject) -> None:
    default = copy_json(schema["default"])
    if default is None and not schema.get("nullable"):
        return
    value[name] = default
    set_defaults(default, schema)


def prune(obj: JsonObject, schema: JsonObject) -> list[str]:
    """Drop unknown fields, in place; returns their paths (`spec.unknown`)."""
    dropped: list[str] = []
    _prune(obj, schema, [], dropped, top=True)
    return dropped


def _prune(value: Any, schema: JsonObject, at: list[str | int], dropped: list[str], *, top: bool = False) -> None:
    """`at` is the path of the value; it is written as text only for a dropped field, because most have none."""
    if isinstance(value, list):
        # A list whose schema preserves unknown fields, and says nothing of its items, keeps these as they are.
        items = schema.get("items") or ({_PRESERVE: True} if schema.get(_PRESERVE) else {})
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                at.append(index)
                _prune(item, items, at, dropped)
                at.pop()
        return
    properties = schema.get("properties", _NO_PROPERTIES)
    additional = schema.get("additionalProperties")
    other = additional if isinstance(additional, dict) else None
    top = top or bool(schema.get(_EMBEDDED))
    keep = schema.get(_PRESERVE) or schema.get(_INT_OR_STRING) or additional is True
    for name in list(value):
        if top and name in _TYPE_AND_OBJECT_META:
            continue
        if (sub := properties.get(name, other)) is not None:
            if isinstance(below := value[name], dict | list):
                at.append(name)
                _prune(below, sub, at, dropped)
                at.pop()
        elif not keep:
            del value[name]
            dropped.append(path_text([*at, name]))


def path_text(path: list[str | int]) -> str:
    """A path as errors and warnings write it: `spec.steps[0].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
