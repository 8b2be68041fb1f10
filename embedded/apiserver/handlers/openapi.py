"""The OpenAPI v3 documents: the schemas that `kubectl explain` shows and `kubectl apply` uses.

The schemas of built-in kinds are those of a real server (`tools/make_openapi.py`); custom resources have their own.
Paths are included only to tell clients that the server validates fields.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from embedded.api.scheme import SERVER_VERSION, ResourceType, Scheme

Json = dict[str, Any]

_FIELD_VALIDATION = {"name": "fieldValidation", "in": "query", "schema": {"type": "string", "uniqueItems": True}}
_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2"
_SCHEMAS = "#/components/schemas/"
_REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_API_VERSION = "APIVersion defines the versioned schema of this representation of an object."
_KIND = "Kind is a string value representing the REST resource this object represents."


@dataclass(frozen=True)
class EncodedDocument:
    """A document in the form that a client asked for, and its media type."""

    body: bytes
    media_type: str


def v2_document(accept: str) -> EncodedDocument:
    """`/openapi/v2`, without paths and definitions, which are in v3.

    kubectl reads it for a kind that v3 does not have: where it is missing, that is the error that kubectl reports,
    instead of the kind.
    """
    title, version = "Kubernetes", SERVER_VERSION["gitVersion"]
    if _V2_PROTOBUF in accept:
        # The message Document of gnostic's openapiv2: swagger = 1, info = 2 {title = 1, version = 2}, paths = 8.
        info = _protobuf_field(1, title.encode()) + _protobuf_field(2, version.encode())
        body = _protobuf_field(1, b"2.0") + _protobuf_field(2, info) + _protobuf_field(8, b"")
        return EncodedDocument(body, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
    document = {"swagger": "2.0", "info": {"title": title, "version": version}, "paths": {}, "definitions": {}}
    return EncodedDocument(json.dumps(document).encode(), "application/json")


def _protobuf_field(number: int, value: bytes) -> bytes:
    """A length-delimited field; `value` has less than 128 bytes."""
    return bytes([number << 3 | 2, len(value)]) + value


def index(scheme: Scheme) -> Json:
    """`/openapi/v3`: the URL of the document of each group and version, with a hash of its content."""
    paths = sorted({_group_version_path(resource.group, resource.version) for resource in scheme.all()})
    urls = {path: f"/openapi/v3/{path}?hash={_content_hash(path, scheme)}" for path in paths}
    return {"paths": {path: {"serverRelativeURL": url} for path, url in urls.items()}}


def group_version_document(path: str, scheme: Scheme) -> Json | None:
    """`/openapi/v3/<path>`, where path is `api/v1` or `apis/<group>/<version>`; None when that is not served."""
    served = _resources_at(path, scheme)
    if not served:
        return None
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": SERVER_VERSION["gitVersion"]},
        "paths": {f"/{path}/{_item_path(resource)}": _operations(resource) for resource in served},
        "components": {"schemas": _schemas(served)},
    }


def _resources_at(path: str, scheme: Scheme) -> list[ResourceType]:
    return [resource for resource in scheme.all() if _group_version_path(resource.group, resource.version) == path]


def _content_hash(path: str, scheme: Scheme) -> str:
    content = [[resource.kind, resource.schema] for resource in _resources_at(path, scheme)]
    return hashlib.sha256(json.dumps([SERVER_VERSION, content]).encode()).hexdigest()


def _group_version_path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _item_path(resource: ResourceType) -> str:
    scope = "namespaces/{namespace}/" if resource.namespaced else ""
    return f"{scope}{resource.plural}/{{name}}"


def _operations(resource: ResourceType) -> Json:
    kind = _kind_of(resource)
    answer = {"200": {"description": "OK"}}
    verbs = {"get": "get", "patch": "patch", "put": "update", "post": "create"}
    return {
        method: {
            "parameters": [_FIELD_VALIDATION] if method != "get" else [],
            "responses": answer,
            "x-kubernetes-action": method,
            "x-kubernetes-group-version-kind": kind,
        }
        for method, verb in verbs.items()
        if verb in resource.verbs
    }


def _kind_of(resource: ResourceType) -> Json:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


@cache
def _builtin_schemas() -> dict[str, str]:
    """The schemas of the built-in kinds, as text: few of them are requested."""
    data = json.loads(gzip.decompress((Path(__file__).parent / "openapi.json.gz").read_bytes()))
    return {name: json.dumps(schema) for name, schema in data.items()}


@cache
def _schema_names() -> dict[tuple[str, str, str], str]:
    names = {}
    for name, text in _builtin_schemas().items():
        for kind in json.loads(text).get("x-kubernetes-group-version-kind") or ():
            names[kind["group"], kind["version"], kind["kind"]] = name
    return names


def _schemas(served: list[ResourceType]) -> Json:
    """The schemas of resources, and those that they refer to."""
    found: Json = {}
    waiting = []
    for resource in served:
        if resource.schema is not None:
            name = ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])
            found[name] = _custom_schema(resource)
            waiting.append(_OBJECT_META)
        elif name := _schema_names().get((resource.group, resource.version, resource.kind), ""):
            waiting.append(name)
    while waiting:
        name = waiting.pop()
        if name not in found and name in _builtin_schemas():
            text = _builtin_schemas()[name]
            found[name] = json.loads(text)
            waiting += _REFERENCE.findall(text)
    return found


def _custom_schema(resource: ResourceType) -> Json:
    assert resource.schema is not None
    envelope = {
        "apiVersion": {"type": "string", "description": _API_VERSION},
        "kind": {"type": "string", "description": _KIND},
        "metadata": {
            "allOf": [{"$ref": _SCHEMAS + _OBJECT_META}],
            "description": "Standard object's metadata.",
            "default": {},
        },
    }
    properties = {**(resource.schema.get("properties") or {}), **envelope}
    return {**resource.schema, "properties": properties, "x-kubernetes-group-version-kind": [_kind_of(resource)]}
