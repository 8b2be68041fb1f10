"""docs/reference/rest.md, from the OpenAPI document; `tools.generate` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Json = dict[str, Any]

DOCS = Path(__file__).parents[1] / "docs"
DOCUMENT = DOCS / "openapi.json"
PAGE = DOCS / "reference" / "rest.md"

INTRODUCTION = """\
# REST reference

Every call, parameter and object of the controller's REST API. [The REST API](../api.md) explains authorization, \
streams, frames and error handling.

This page is generated from `docs/openapi.json` by `python -m tools.generate`. A `WS` call is a WebSocket: it is \
opened with `GET`. Error responses are [`ProblemDocument`](#schema-problemdocument) objects; \
[Problems](../api.md#problems) explains their types.
"""

TITLES = {
    "system": "System",
    "lint": "Lint",
    "cluster": "Cluster",
    "pipelines": "Pipelines",
    "runs": "Runs",
    "logs": "Logs",
    "artifacts": "Artifacts",
    "sources": "Sources",
    "secrets": "Secrets",
    "agent": "Agent",
    "objects": "Objects",
}
"""Headings of the known tags, in the order of the page. Other tags follow under their own names."""

BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} entries",
    "maxProperties": "at most {} entries",
}


def render(document: Json) -> str:
    """Render an OpenAPI document as a Markdown page."""
    lines = [INTRODUCTION]
    for tag, operations in _by_tag(document).items():
        lines += [f"## {TITLES.get(tag, tag.capitalize())}", ""]
        for method, path, operation in operations:
            lines += _operation(method, path, operation)
    lines += ["## Schemas", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _by_tag(document: Json) -> dict[str, list[tuple[str, str, Json]]]:
    found: dict[str, list[tuple[str, str, Json]]] = {tag: [] for tag in TITLES}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            found.setdefault(tag, []).append((method, path, operation))
    return {tag: operations for tag, operations in found.items() if operations}


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    verb = "WS" if "101" in operation["responses"] else method.upper()
    yield f"### {operation['operationId']}"
    yield ""
    yield f"`{verb} {path}`"
    yield ""
    yield " ".join(operation.get("description", "").replace("\n\n", "\n").split("\n")).strip()
    yield ""
    if parameters := operation.get("parameters"):
        yield from _table(
            ("parameter", "in", "type", "description"), [_parameter(parameter) for parameter in parameters]
        )
    for content_type, body in (operation.get("requestBody") or {}).get("content", {}).items():
        yield f"Request body: {type_of(body.get('schema') or {})} (`{content_type}`)."
        yield ""
    yield from _responses(operation["responses"])


def _parameter(parameter: Json) -> tuple[str, ...]:
    schema = parameter.get("schema") or {}
    required = " (required)" if parameter.get("required") and parameter["in"] != "path" else ""
    description = parameter.get("description") or schema.get("description") or ""
    return f"`{parameter['name']}`{required}", parameter["in"], _type_and_default(schema), description


def _responses(responses: Json) -> Iterator[str]:
    problems: list[str] = []
    for status, response in responses.items():
        content = response.get("content") or {}
        if "application/problem+json" in content:
            names = response.get("description", "").partition("A problem: ")[2]
            problems += [f"{status} {names}"] if names else []
            continue
        shown = [f"{type_of(each.get('schema') or {})} (`{kind}`)" for kind, each in content.items()]
        yield f"Response {status}: {' or '.join(shown) or 'no content'}."
        yield ""
    if problems:
        yield f"Problems: {'; '.join(problems)}."
        yield ""


def _schema(name: str, schema: Json) -> Iterator[str]:
    yield f'<a id="{_anchor(name)}"></a>'
    yield ""
    yield f"### {name}"
    yield ""
    if description := schema.get("description"):
        yield " ".join(description.split())
        yield ""
    required = schema.get("required") or []
    rows = []
    for field, value in (schema.get("properties") or {}).items():
        mark = " (required)" if field in required else ""
        rows.append((f"`{field}`{mark}", _type_and_default(value), value.get("description", "")))
    if rows:
        yield from _table(("field", "type", "description"), rows)


def _anchor(schema: str) -> str:
    """The anchor of a schema. That of its heading may be taken: a call can have the same name in another case."""
    return f"schema-{schema.lower()}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield _row(head)
    yield _row(("---",) * len(head))
    for row in rows:
        yield _row(row)
    yield ""


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _type_and_default(schema: Json) -> str:
    default = schema.get("default")
    shown = f", default `{json.dumps(default)}`" if default is not None else ""
    return type_of(schema) + shown


def type_of(schema: Json) -> str:
    """Describe a JSON schema in a few words, with a link for a named one."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(type_of(choice) for choice in choices))
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    return _plain_type(schema) + _bounds(schema)


def _plain_type(schema: Json) -> str:
    kind = schema.get("type", "any value")
    if kind == "array":
        return f"list of {type_of(schema.get('items') or {})}"
    if kind == "object":
        values = schema.get("additionalProperties")
        if values is None and (patterns := schema.get("patternProperties")):
            values = next(iter(patterns.values()))
        return f"map of {type_of(values)}" if isinstance(values, dict) and values else "object"
    return "bytes" if schema.get("format") == "binary" else str(kind)


def _bounds(schema: Json) -> str:
    found = [text.format(f"{schema[key]:,.0f}") for key, text in BOUNDS.items() if key in schema]
    return f" ({', '.join(found)})" if found else ""
