"""Objects against the schemas that Kubernetes 1.36.2 publishes (`/openapi/v3`), kept here without their descriptions.

Stricter than the server in one thing: a field that the schema does not know is an error, as with `kubectl --validate`.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator

_FILE = Path(__file__).with_name("schemas-v1.36.2.json.gz")


def problems(obj: dict[str, Any]) -> list[str]:
    """What is wrong with an object; empty when it is right."""
    kind = f"{obj.get('apiVersion')} {obj.get('kind')}"
    document = _document()
    if kind not in document["kinds"]:
        return [f"there is no schema here of {kind}"]
    return [f"{'/'.join(map(str, each.absolute_path))}: {each.message}" for each in _validator(kind).iter_errors(obj)]


@cache
def _document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(_FILE.read_bytes()))
    for schema in found["components"]["schemas"].values():
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    return found


@cache
def _validator(kind: str) -> Draft4Validator:
    document = _document()
    reference = {"$ref": f"#/components/schemas/{document['kinds'][kind]}", "components": document["components"]}
    return Draft4Validator(reference)
