"""The format as JSON Schema, for editors and lint, and as the structural schema that a CRD takes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from controller.pipeline.model import VARIABLE_PATTERN, Pipeline

Json = dict[str, Any]

COMMITTED = Path(__file__).with_name("schema.json")
_KEPT = (
    *("type", "properties", "required", "items", "additionalProperties", "enum", "pattern", "description"),
    *("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "maxProperties"),
)


def json_schema() -> Json:
    """What a file may hold. `env` takes a map or the Kubernetes list; references are resolved."""
    schema = _plain(Pipeline.model_json_schema(by_alias=True))
    schema["properties"]["version"] = {"type": "string", "enum": ["v1alpha1"], "description": "The format's version."}
    schema["required"] = ["version", "name", "steps"]
    for place in (schema, schema["properties"]["steps"]["items"], _services(schema)):
        place["properties"]["env"] = _file_env(place["properties"]["env"])
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "c8s pipeline (v1alpha1)"}
    return {**head, **schema}


def structural_schema() -> Json:
    """A pipeline in its normalised form, as part of a CRD's openAPIV3Schema: no unions, no defaults, no version."""
    schema: Json = _structural(_plain(Pipeline.model_json_schema(by_alias=True)))
    schema["properties"].pop("version")
    return schema


def committed_text() -> str:
    """What `schema.json` has to hold."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def _services(schema: Json) -> Json:
    found: Json = schema["properties"]["steps"]["items"]["properties"]["services"]["items"]
    return found


def _file_env(env: Json) -> Json:
    entry = {
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": VARIABLE_PATTERN}, "value": {"type": "string"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    as_list = {"type": "array", "items": entry}
    as_map = {key: value for key, value in env.items() if key not in ("default", "description")}
    about = env.get("description") or "Variables: NAME: value, or a list of {name, value}."
    return {"description": about, "anyOf": [as_map, as_list]}


def _plain(schema: Json) -> Json:
    """Without references, titles and nulls: what is optional is absent."""
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
            return walk({"type": "string", "enum": [node["const"]]})
        return _tidy(node, walk)

    result: Json = walk(schema)
    return result


def _tidy(node: Json, walk: Any) -> Json:
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
        # A map whose keys have a form: other keys are mistakes.
        out["additionalProperties"] = False
    return out


def _structural(node: Any) -> Any:
    """Structural schemas know neither patternProperties nor `additionalProperties: false`."""
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
        elif key in _KEPT and not (key == "additionalProperties" and value is False):
            out[key] = _structural(value)
    return out
