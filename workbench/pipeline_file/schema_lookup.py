"""Looks up fields of a pipeline file in its JSON schema: by path, with their text and description."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.pipeline_file.indentation import PathPart

Json = Mapping[str, Any]


def schema_at(schema: Json, path: Sequence[PathPart]) -> Json | None:
    """The schema of a path; None if it has none."""
    here: Json | None = schema
    for part in path:
        if here is None:
            return None
        options = [here, *here.get("anyOf", ())]
        here = next((inner for option in options if (inner := _inside(option, part)) is not None), None)
    if here is not None and "anyOf" in here:
        # The first of several forms is the usual one.
        here = {**here["anyOf"][0], **{key: value for key, value in here.items() if key != "anyOf"}}
    return here


def _inside(schema: Json, part: PathPart) -> Json | None:
    if isinstance(part, int):
        items = schema.get("items")
        return items if isinstance(items, Mapping) else None
    properties = schema.get("properties", {})
    if part in properties:
        found: Json = properties[part]
        return found
    for pattern, inner in schema.get("patternProperties", {}).items():
        if re.search(pattern, part):
            kept: Json = inner
            return kept
    return None


def field_text(name: str, schema: Json, column: int) -> str:
    """The text to insert for a field: lists and maps continue in the next line."""
    usual = schema["anyOf"][0] if "anyOf" in schema else schema
    below = "\n" + " " * (column + 2)
    if usual.get("type") == "array":
        simple = "properties" not in usual.get("items", {})
        return f"{name}: [" if simple and name != "commands" else f"{name}:{below}- "
    if usual.get("type") == "object":
        return f"{name}:{below}"
    return f"{name}: "


def describe_field(schema: Json) -> str:
    text = str(schema.get("description", ""))
    if "enum" in schema:
        text += f" ({', '.join(str(value) for value in schema['enum'])})"
    default = schema.get("default")
    if default not in (None, [], {}, "", False):
        text += f" Default: {', '.join(default) if isinstance(default, list) else default}."
    return text.strip()
