"""Generates `embedded/api/field_types.json`, the field names and types of the built-in kinds, from OpenAPI v3.

python -m tools.make_field_types FOLDER

FOLDER holds the documents of `/openapi/v3/api/v1`, `/openapi/v3/apis/batch/v1` and so on, as `*.json`. Not used by the
server, which reads the result.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from embedded.api.scheme import BUILT_IN
from embedded.types import JsonObject

_PLAIN = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean"}


def _short(reference: str) -> str:
    return reference.rpartition(".")[2]


def _type_of(schema: JsonObject) -> str:
    """A type in the notation of `embedded/api/field_types.py`."""
    for part in schema.get("allOf") or [schema]:
        if "$ref" in part:
            return _short(part["$ref"])
    if "oneOf" in schema:
        return "|".join(sorted(_PLAIN[choice["type"]] for choice in schema["oneOf"]))
    kind = schema.get("type")
    if kind == "array":
        return "[" + _type_of(schema["items"])
    if kind == "object" and "additionalProperties" in schema:
        return "{" + _type_of(schema["additionalProperties"])
    if kind == "string" and schema.get("format") == "byte":
        return "bytes"
    return _PLAIN.get(str(kind), "any")


def _definitions(folder: Path) -> tuple[dict[str, JsonObject], dict[str, str]]:
    """Schemas by short name, and kinds (`group/version/Kind`) to short names."""
    schemas: dict[str, JsonObject] = {}
    kinds: dict[str, str] = {}
    for file in sorted(folder.glob("*.json")):
        for name, schema in json.loads(file.read_text())["components"]["schemas"].items():
            schemas.setdefault(_short(name), schema)
            for kind in schema.get("x-kubernetes-group-version-kind") or ():
                kinds.setdefault("/".join((kind["group"], kind["version"], kind["kind"])), _short(name))
    return schemas, kinds


def build_field_types(folder: Path) -> JsonObject:
    schemas, kinds = _definitions(folder)
    served_kinds = {
        f"{r.group}/{r.version}/{r.kind}": kinds[f"{r.group}/{r.version}/{r.kind}"]
        for r in BUILT_IN
        if f"{r.group}/{r.version}/{r.kind}" in kinds
    }
    types: JsonObject = {}
    pending = [*served_kinds.values(), "ObjectMeta"]
    while pending:
        name = pending.pop()
        if name in types or name not in schemas:
            continue
        schema = schemas[name]
        if "properties" not in schema:
            types[name] = _type_of(schema)
            continue
        types[name] = {field: _type_of(of) for field, of in sorted(schema["properties"].items())}
        pending += [field.lstrip("[{") for field in types[name].values()]
    return {"kinds": served_kinds, "types": types}


if __name__ == "__main__":
    made = json.dumps(build_field_types(Path(sys.argv[1])), separators=(",", ":"), sort_keys=True)
    (Path(__file__).parents[1] / "embedded" / "api" / "field_types.json").write_text(made + "\n")
