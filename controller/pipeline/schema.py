"""The pipeline format as JSON Schema for editors and lint, and as a structural schema for CRDs.

`python -m controller.pipeline.schema` writes the committed copies; a test compares them with the models.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from controller.pipeline.model import MAX_VARIABLES, VARIABLE_PATTERN, Pipeline
from controller.pipeline.normalize import EXTENSION_PREFIX
from controller.pipeline.values import quantity

Json = dict[str, Any]

PACKAGED_SCHEMA = Path(__file__).with_name("schema.json")
"""The copy in the package, which lint reads."""
PUBLISHED_SCHEMA = Path(__file__).parents[2] / "docs" / "pipeline.schema.json"
"""The copy in the documentation, for editors."""
_STRUCTURAL_KEYWORDS = (
    *("type", "properties", "required", "items", "additionalProperties", "enum", "pattern", "description"),
    *("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "maxProperties"),
)


def json_schema() -> Json:
    """The schema of files: both forms of `env` and of a matrix, without references.

    Where the format allows any text, the schema also allows numbers and booleans: lint reads them as the text in the
    file, and editors should not report them.
    """
    schema = _simplify(Pipeline.model_json_schema(by_alias=True))
    step = schema["properties"]["steps"]["items"]
    schema["required"] = ["version", "name", "steps"]
    schema["properties"]["version"].pop("default", None)
    for holder in (schema, step, step["properties"]["services"]["items"]):
        holder["properties"]["env"] = _file_env(holder["properties"]["env"])
    for holder in (schema, step):
        holder["properties"]["matrix"] = _file_matrix(holder["properties"]["matrix"])
    step["properties"]["artifacts"]["items"] = _file_artifact(step["properties"]["artifacts"]["items"])
    for holder in (step, step["properties"]["services"]["items"]):
        holder["properties"]["commands"]["items"] = _nested(holder["properties"]["commands"]["items"])
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "c8s pipeline (v1alpha1)"}
    return {**head, **_lenient(_with_extensions(schema))}


def structural_schema() -> Json:
    """The schema of a normalized pipeline for the openAPIV3Schema of a CRD: no unions, no defaults.

    `version` is optional, so that a file's content can be used as it is.
    """
    schema: Json = _structural(_simplify(Pipeline.model_json_schema(by_alias=True)))
    schema["required"] = [field for field in schema.get("required", []) if field != "version"]
    return schema


def schema_text() -> str:
    """The content of `schema.json`."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def _nested(text: Json) -> Json:
    """A text, or a list of texts, as an alias of a list leads to: lint splices it into the list around it."""
    inner = {"anyOf": [text, {"type": "array", "items": text}]}
    return {"anyOf": [text, {"type": "array", "items": inner}]}


def _with_extensions(node: Any) -> Any:
    """The schema with fields that are ignored wherever the fields of a map are fixed."""
    if isinstance(node, list):
        return [_with_extensions(item) for item in node]
    if not isinstance(node, dict):
        return node
    fresh = {
        key: {name: _with_extensions(sub) for name, sub in value.items()}
        if key == "properties"
        else _with_extensions(value)
        for key, value in node.items()
    }
    if node.get("additionalProperties") is False and "properties" in node:
        fresh["patternProperties"] = {f"^{EXTENSION_PREFIX}.*$": {}}
    return fresh


def _file_env(env: Json) -> Json:
    entry = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "pattern": VARIABLE_PATTERN},
            "value": {"type": "string", "maxLength": env["patternProperties"][VARIABLE_PATTERN]["maxLength"]},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    as_list = {"type": "array", "items": entry, "maxItems": MAX_VARIABLES}
    as_map = {key: value for key, value in env.items() if key not in ("default", "description")}
    about = f"{env['description']} A map NAME: value, or a list of name and value."
    return {"description": about, "anyOf": [as_map, as_list]}


def _file_artifact(glob: Json) -> Json:
    """A glob, or a map that says whether it may match nothing."""
    optional = {"type": "boolean", "description": "Whether the glob may match nothing."}
    entry = {
        "type": "object",
        "properties": {"path": {**glob, "description": "A glob below the workspace."}, "optional": optional},
        "required": ["path"],
        "additionalProperties": False,
    }
    return {"anyOf": [glob, entry]}


def _file_matrix(matrix: Json) -> Json:
    """A matrix with `dimensions` and `exclude`, or with the older `strategy` and `exclusions`."""
    dimensions, exclude = matrix["properties"]["dimensions"], matrix["properties"]["exclude"]
    pattern, values = next(iter(dimensions["patternProperties"].items()))
    entry = {
        "type": "object",
        "properties": {"dimension": {"type": "string", "pattern": pattern}, "values": values},
        "required": ["dimension", "values"],
        "additionalProperties": False,
    }
    strategy = {"type": "array", "items": entry, "minItems": 1, "description": "Another form of `dimensions`."}
    older = {"strategy": strategy, "exclusions": {**exclude, "description": "Another form of `exclude`."}}
    kept = {key: value for key, value in matrix.items() if key != "required"}
    return {**kept, "properties": {**matrix["properties"], **older}}


def _lenient(node: Any) -> Any:
    if isinstance(node, list):
        return [_lenient(item) for item in node]
    if not isinstance(node, dict):
        return node
    fresh = {key: _lenient(value) for key, value in node.items()}
    if node.get("type") == "string" and "enum" not in node:
        if "pattern" not in node:
            fresh["type"] = ["string", "number", "boolean"]
        elif node["pattern"] == quantity.PATTERN:
            fresh["type"] = ["string", "number"]
    return fresh


def _simplify(schema: Json) -> Json:
    """The schema without references, titles and null: optional values are absent."""
    definitions = schema.pop("$defs", {})

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            merged = {**definitions[node["$ref"].rpartition("/")[2]], **{k: v for k, v in node.items() if k != "$ref"}}
            return walk(merged)
        if "anyOf" in node:
            kinds = [option for option in node["anyOf"] if option.get("type") != "null"]
            if len(kinds) == 1:
                return walk({**kinds[0], **{k: v for k, v in node.items() if k not in ("anyOf", "default")}})
        if "const" in node:
            about = {key: node[key] for key in ("description",) if key in node}
            return walk({"type": "string", "enum": [node["const"]], **about})
        return _simplify_members(node, walk)

    result: Json = walk(schema)
    return result


def _simplify_members(node: Json, walk: Any) -> Json:
    out: Json = {}
    for key, value in node.items():
        if key == "propertyNames" or key == "title":
            continue
        if key == "properties":
            out[key] = {name: walk(sub) for name, sub in value.items()}
        elif key == "default" and value in (None, [], {}, ""):
            continue
        else:
            out[key] = walk(value)
    if "patternProperties" in node:
        # A map whose keys have a pattern: other keys are errors.
        out["additionalProperties"] = False
    return out


def _structural(node: Any) -> Any:
    """Convert to a structural schema, which has no patternProperties and no `additionalProperties: false`."""
    if isinstance(node, list):
        return [_structural(item) for item in node]
    if not isinstance(node, dict):
        return copy.deepcopy(node)
    out: Json = {}
    for key, value in node.items():
        if key == "properties":
            out[key] = {name: _structural(sub) for name, sub in value.items()}
        elif key == "patternProperties":
            out["additionalProperties"] = _structural(next(iter(value.values())))
        elif key in _STRUCTURAL_KEYWORDS and not (key == "additionalProperties" and value is False):
            out[key] = _structural(value)
    return out


if __name__ == "__main__":
    for _file in (PACKAGED_SCHEMA, PUBLISHED_SCHEMA):
        _file.write_text(schema_text(), encoding="utf-8")
