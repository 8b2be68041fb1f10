"""Whether a real server would accept a body: by the published schemas, and by the rules for metadata."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft4Validator

from controller.operator.manifests.crds import GROUP
from tests.contract.conversation import formats
from tests.contract.conversation.endpoints import Endpoint, Kind
from tests.contract.schemas import schemas

_MAX_ANNOTATIONS = 256 << 10
_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")
_MICRO_TIMES = {"Lease": ("spec", ("acquireTime", "renewTime")), "Event": ("", ("eventTime",))}


def object_problems(endpoint: Endpoint, body: Any, *, is_new: bool) -> Iterator[str]:
    """Of the body of a POST or PUT."""
    if not isinstance(body, dict):
        yield "400: the body is not an object"
        return
    kind = endpoint.kind
    expected = (kind.api_version, kind.kind)
    if endpoint.subresource == "token":
        expected = ("authentication.k8s.io/v1", "TokenRequest")
    if (body.get("apiVersion"), body.get("kind")) != expected:
        yield f"400: the body is a {body.get('apiVersion')} {body.get('kind')}, not a {' '.join(expected)}"
        return
    yield from _schema_problems(kind if endpoint.subresource != "token" else None, body)
    metadata = body.get("metadata") or {}
    if not kind.create_only and endpoint.subresource != "token":
        yield from _identity_problems(endpoint, metadata, is_new=is_new)
    yield from _metadata_problems(kind, metadata)
    yield from _time_problems(kind, body)


def delete_problems(body: Any) -> Iterator[str]:
    """Of the options in the body of a DELETE."""
    if not isinstance(body, dict) or body.get("kind") != "DeleteOptions":
        yield "400: the body of a deletion is a DeleteOptions"
        return
    yield from schemas.problems({**body, "apiVersion": "v1"})
    if body.get("propagationPolicy", "Orphan") not in ("Orphan", "Background", "Foreground"):
        yield "422: propagationPolicy is Orphan, Background or Foreground"
    if "propagationPolicy" in body and "orphanDependents" in body:
        yield "422: orphanDependents and propagationPolicy cannot be both set"


def json_patch_problems(body: Any) -> Iterator[str]:
    if not isinstance(body, list):
        yield "400: a JSON patch is a list"
        return
    for operation in body:
        if operation.get("op") not in _OPERATIONS or not str(operation.get("path")).startswith("/"):
            yield f"400: {operation} is not an operation"
        elif operation["op"] in ("add", "replace", "test") and "value" not in operation:
            yield f"400: {operation} has no value"


def applied_problems(endpoint: Endpoint, body: Any) -> Iterator[str]:
    """Of the body of a server-side apply: it names its type and object, and not who manages the fields."""
    kind = endpoint.kind
    if not isinstance(body, dict) or (body.get("apiVersion"), body.get("kind")) != (kind.api_version, kind.kind):
        yield f"400: an apply patch must be a {kind.api_version} {kind.kind}"
        return
    metadata = body.get("metadata") or {}
    if metadata.get("managedFields"):
        yield "400: metadata.managedFields must be nil"
    yield from _schema_problems(kind, body)
    yield from _identity_problems(endpoint, metadata, is_new=False)
    yield from _metadata_problems(kind, metadata)


def merge_patch_problems(endpoint: Endpoint, body: Any) -> Iterator[str]:
    """Of a merge or strategic merge patch: an object with parts missing, and with null for what it removes."""
    if not isinstance(body, dict):
        yield "400: a merge patch is an object"
        return
    for error in _validator(endpoint.kind).iter_errors(_with_type(endpoint.kind, body)):
        is_removal = error.instance is None and error.validator in ("type", "allOf", "anyOf", "oneOf", "enum")
        if error.validator != "required" and not is_removal:
            yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
    metadata = body.get("metadata") or {}
    if endpoint.name and metadata.get("name", endpoint.name) != endpoint.name:
        yield "422: a patch changes metadata.name"
    without_removals = {
        name: {key: value for key, value in part.items() if value is not None} if isinstance(part, dict) else part
        for name, part in metadata.items()
        if part is not None
    }
    yield from _metadata_problems(endpoint.kind, without_removals)
    yield from _time_problems(endpoint.kind, body)


def _with_type(kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": kind.api_version, "kind": kind.kind, **body}


def _schema_problems(kind: Kind | None, body: dict[str, Any]) -> Iterator[str]:
    if kind is None or kind.schema is None:
        yield from (f"schema: {each}" for each in schemas.problems(body))
        return
    for error in _validator(kind).iter_errors(body):
        yield f"schema: {'/'.join(map(str, error.absolute_path))}: {error.message}"


@cache
def _validator(kind: Kind) -> Draft4Validator:
    if kind.schema is None:
        return schemas.validator(f"{kind.api_version} {kind.kind}")
    assert kind.group == GROUP
    closed = _closed(kind.schema)
    # What a structural schema leaves out has a schema of its own.
    closed["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    closed["properties"]["metadata"] = schemas.object_meta_schema()
    return Draft4Validator({**closed, "components": schemas.components()})


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """A structural schema whose objects have no other fields than those it names, as after pruning."""
    found = dict(schema)
    if "properties" in found:
        found["properties"] = {name: _closed(each) for name, each in found["properties"].items()}
        if not found.get("x-kubernetes-preserve-unknown-fields"):
            found.setdefault("additionalProperties", False)
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = _closed(found["additionalProperties"])
    if isinstance(found.get("items"), dict):
        found["items"] = _closed(found["items"])
    if found.get("x-kubernetes-int-or-string"):
        found["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if found.pop("nullable", False) and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found


def _identity_problems(endpoint: Endpoint, metadata: dict[str, Any], *, is_new: bool) -> Iterator[str]:
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if namespace and namespace != endpoint.namespace:
        yield "400: the namespace of the provided object does not match the namespace sent on the request"
    if endpoint.name and name != endpoint.name:
        yield f"400: the name of the object ({name}) does not match the name on the URL ({endpoint.name})"
    if is_new and not endpoint.subresource:
        if not name and not metadata.get("generateName"):
            yield "422: name or generateName is required"
        if metadata.get("resourceVersion"):
            yield "500: resourceVersion should not be set on objects to be created"
    elif endpoint.kind.schema is not None and not is_new and not metadata.get("resourceVersion"):
        yield "422: metadata.resourceVersion: must be specified for an update"


def _metadata_problems(kind: Kind, metadata: dict[str, Any]) -> Iterator[str]:
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if name and not formats.is_name(name, kind.kind):
        yield f"422: {name!r} is not the name of a {kind.kind}"
    if prefix and not formats.is_name(prefix.rstrip("-") + "-aaaaa", kind.kind):
        yield f"422: {prefix!r} does not begin the name of a {kind.kind}"
    for key, value in (metadata.get("labels") or {}).items():
        if not formats.is_qualified_name(key) or not formats.is_label_value(value):
            yield f"422: {key}={value!r} is not a label"
    annotations = metadata.get("annotations") or {}
    yield from (f"422: {key!r} is no annotation" for key in annotations if not formats.is_qualified_name(key.lower()))
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _MAX_ANNOTATIONS:
        yield "422: the annotations are larger than 256 KiB"
    for finalizer in metadata.get("finalizers") or []:
        if not formats.is_qualified_name(finalizer):
            yield f"422: {finalizer!r} is not a finalizer"
    for owner in metadata.get("ownerReferences") or []:
        if not all(owner.get(field) for field in ("apiVersion", "kind", "name", "uid")):
            yield f"422: {owner} names no owner"


def _time_problems(kind: Kind, body: dict[str, Any]) -> Iterator[str]:
    part, fields = _MICRO_TIMES.get(kind.kind, ("", ()))
    holder = (body.get(part) or {}) if part else body
    for field in fields:
        if holder.get(field) and not formats.is_micro_time(holder[field]):
            yield f"400: {field}={holder[field]} is not a MicroTime"
