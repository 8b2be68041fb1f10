"""From what a client sends to what the store would hold: every rule of a write up to the decision, nothing stored.

A `Change` is a write that may be made. Between proposing and storing one, others may be asked about it.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embedded.api import field_types, status_errors
from embedded.api.names import generated_name_causes, metadata_causes
from embedded.api.scheme import (
    CUSTOM_RESOURCE_DEFINITIONS,
    EVENTS,
    LEASES,
    RBAC,
    SERVICE_ACCOUNTS,
    VALIDATING_WEBHOOKS,
    ResourceType,
)
from embedded.crd import structural
from embedded.patch import patch as patches
from embedded.patch import server_side_apply
from embedded.registry import generation, object_meta
from embedded.registry.options import PatchKind, Write
from embedded.storage.sqlite import Key
from embedded.validation.admission import admit, admit_update

if TYPE_CHECKING:
    from embedded.registry.registry import Registry

Json = dict[str, Any]

_GIVEN_BY_SERVER = ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields")
_MADE_BY_UPDATES = (LEASES, EVENTS, *RBAC)
"""An update of such an object that is not there makes it."""
_VERSION_NEEDED = (LEASES, SERVICE_ACCOUNTS, CUSTOM_RESOURCE_DEFINITIONS, VALIDATING_WEBHOOKS)
"""Built-in kinds that, like custom ones, are only replaced by who has seen what they replace."""


@dataclass(frozen=True)
class Change:
    """A write that has been judged.

    Attributes:
        at: the store's revision when it was judged.
        old: None when the object is new.
        warnings: what of the request was left out.
    """

    resource: ResourceType
    key: Key
    old: Json | None
    new: Json
    at: int
    how: Write
    warnings: tuple[str, ...] = ()


def new(
    registry: Registry,
    resource: ResourceType,
    obj: Json,
    namespace: str | None,
    how: Write,
    *,
    applied: bool = False,
) -> Change:
    """A new object. With `applied`, the manager is recorded as the owner of all it set.

    Raises:
        ApiError: 400, 403, 404 (no such namespace), 409 (it exists), 422.
    """
    metadata = object_meta.complete(resource, obj, namespace)
    warnings = _read(resource, obj, how)
    if metadata.get("resourceVersion") and not applied:
        raise status_errors.ApiError(500, "", "resourceVersion should not be set on objects to be created")
    if resource.going:
        raise status_errors.method_not_allowed()
    causes = generated_name_causes(metadata, resource.key)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:58] + registry.pick()
    registry.require_namespace(resource, namespace, metadata.get("name") or "")
    for field in _GIVEN_BY_SERVER:
        metadata.pop(field, None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = registry.now()
    if generation.counted(resource):
        metadata["generation"] = 1
    if resource.has_status:
        obj.pop("status", None)
    if applied:
        claim = _claim(registry, resource, how, "Apply", server_side_apply.fields_of(obj, list_key(resource)))
        server_side_apply.write_entries(obj, [claim])
    causes += metadata_causes(metadata, resource.key)
    # A nameless object is refused, and told all else that is wrong with it.
    metadata.setdefault("name", "")
    object_meta.require_valid(resource, obj, causes + admit(resource, obj))
    key = registry.key(resource, namespace, metadata["name"])
    return Change(resource, key, None, obj, registry.store.revision, how, warnings)


def replacement(
    registry: Registry, resource: ResourceType, obj: Json, namespace: str | None, name: str, how: Write
) -> Change:
    """An update.

    Raises:
        ApiError: 400, 404, 409 (the object has changed since `resourceVersion`), 422.
    """
    metadata = object_meta.complete(resource, obj, namespace)
    if metadata.get("name", name) != name:
        raise status_errors.bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        )
    body = registry.store.get(registry.key(resource, namespace, name))
    if body is None and resource in _MADE_BY_UPDATES and not how.subresource:
        metadata.pop("resourceVersion", None)
        return new(registry, resource, {**obj, "metadata": {**metadata, "name": name}}, namespace, how)
    if body is None:
        raise status_errors.not_found(resource.plural, name, resource.group)
    if (resource.schema is not None or resource in _VERSION_NEEDED) and not metadata.get("resourceVersion"):
        message = "Invalid value: 0: must be specified for an update"
        cause = status_errors.Cause("FieldValueInvalid", "metadata.resourceVersion", message)
        raise status_errors.invalid(resource.plural, name, resource.group, [cause])
    return _over(registry, resource, json.loads(body), obj, how, _read(resource, obj, how))


def patched(
    registry: Registry,
    resource: ResourceType,
    namespace: str | None,
    name: str,
    patch: Any,
    kind: PatchKind,
    how: Write,
) -> Change:
    """A patch of any kind; an application may also make the object.

    Raises:
        ApiError: as `replacement`; for an application also 409 when it disagrees with another manager.
    """
    if kind == "apply":
        return _applied(registry, resource, namespace, name, patch, how)
    body = registry.in_version(resource, registry.stored(resource, namespace, name))
    change = {"merge": patches.merge, "json": patches.json_patch, "strategic": patches.strategic}[kind]
    # Decoded twice, so that the old object and the new share nothing.
    base = json.loads(body)
    if resource.schema is not None:
        structural.prune(base, resource.schema)
    after = change(base, patch)
    if not isinstance(after, dict) or not isinstance(after.get("metadata"), dict):
        raise status_errors.bad_request("a patch must leave an object with metadata")
    object_meta.check_name(resource, after, namespace, name)
    try:
        warnings = _read(resource, after, how)
    except status_errors.ApiError as error:
        why = error.message.partition(": ")[2]
        raise status_errors.invalid(
            "", "", "", [status_errors.Cause("FieldValueInvalid", "patch", f"Invalid value: {why}")]
        ) from None
    return _over(registry, resource, json.loads(body), after, how, warnings, patch=True)


def _applied(
    registry: Registry, resource: ResourceType, namespace: str | None, name: str, wanted: Any, how: Write
) -> Change:
    if not isinstance(wanted, dict):
        raise status_errors.bad_request(f"an apply patch must be an object of kind {resource.kind}")
    metadata = object_meta.complete(resource, wanted, namespace)
    if metadata.setdefault("name", name) != name:
        raise status_errors.bad_request(f"name must be {name}, as in the URL, not {metadata['name']}")
    if metadata.get("managedFields"):
        raise status_errors.bad_request("metadata.managedFields must be nil")
    body = registry.store.get(registry.key(resource, namespace, name))
    if body is None:
        if how.subresource:
            raise status_errors.not_found(resource.plural, name, resource.group)
        if metadata.get("uid") or metadata.get("resourceVersion"):
            why = "the object does not exist, and the application names one that does"
            raise status_errors.conflict(resource.plural, name, resource.group, why)
        _read_applied(resource, json.loads(json.dumps(wanted)), how)
        return new(registry, resource, wanted, namespace, how, applied=True)
    if resource.has_status and how.subresource is None:
        wanted.pop("status", None)
    if how.subresource == "status":
        wanted = {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": metadata} | (
            {"status": wanted["status"]} if "status" in wanted else {}
        )
    _read_applied(resource, wanted, how)
    body = registry.in_version(resource, body)
    live = json.loads(body)
    object_meta.check_identity(resource, live, wanted)
    claim = _claim(registry, resource, how, "Apply", frozenset())
    after = server_side_apply.applied(json.loads(body), wanted, claim, list_key(resource), force=how.force)
    return _over(registry, resource, live, after, how, (), record=after["metadata"].get("managedFields"))


def _read_applied(resource: ResourceType, wanted: Json, how: Write) -> None:
    """As `_read`, of what is applied: that has to fit its schema, whatever is said of validation.

    Raises:
        ApiError: 500, it does not, as a real server has it; 400, it says something twice and the write is strict.
    """
    metadata = wanted["metadata"]
    where = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
    group_version = f"{resource.group}/{resource.version}"
    what = f"failed to create typed patch object ({where}; {group_version}, Kind={resource.kind})"
    try:
        dropped = _fitted(resource, wanted)
    except status_errors.ApiError as error:
        raise status_errors.ApiError(500, "", f"{what}: {error.message}") from None
    if dropped:
        lines = [f".{path}: field not declared in schema" for path in dropped]
        told = lines[0] if len(lines) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in lines)
        raise status_errors.ApiError(500, "", f"{what}: {told}")
    if how.repeated and how.strict:
        raise status_errors.bad_request(f"error strict decoding YAML: {how.repeated[0]}")


def _over(
    registry: Registry,
    resource: ResourceType,
    old: Json,
    new: Json,
    how: Write,
    warnings: tuple[str, ...],
    record: list[Json] | None = None,
    *,
    patch: bool = False,
) -> Change:
    """`new` in the place of `old`, as far as rules allow. `record` replaces the one of field owners."""
    object_meta.check_identity(resource, old, new, uid_too=not patch)
    causes = object_meta.immutable_causes(old, new)
    object_meta.keep_system_fields(old, new)
    new = object_meta.narrowed(resource, old, new, how.subresource)
    metadata = new["metadata"]
    causes += metadata_causes(metadata, resource.key, old["metadata"])
    causes += admit_update(resource, old, new, how.subresource or "")
    object_meta.require_valid(resource, new, causes)
    if how.subresource is None:
        generation.advance(resource, old, new)
    if record is not None:
        metadata["managedFields"] = record
    elif "managedFields" in old["metadata"]:
        server_side_apply.after_write(
            old, new, _claim(registry, resource, how, "Update", frozenset()), list_key(resource)
        )
    metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
    key = registry.key(resource, metadata.get("namespace"), metadata["name"])
    return Change(resource, key, old, new, registry.store.revision, how, warnings)


def _read(resource: ResourceType, obj: Json, how: Write) -> tuple[str, ...]:
    """Drop what the resource has no field for, in place, and tell of it.

    Raises:
        ApiError: 400, a value is of a wrong type, or something was dropped and the write is strict.
    """
    told = (*how.repeated, *(f'unknown field "{path}"' for path in _fitted(resource, obj)))
    if told and how.strict:
        raise field_types.unreadable(resource, f"strict decoding error: {', '.join(told)}")
    return told


def _fitted(resource: ResourceType, obj: Json) -> list[str]:
    """The paths of what was dropped."""
    dropped = field_types.fit(resource, obj)
    object_meta.drop_empty(resource, obj)
    if resource.schema is not None:
        dropped += structural.prune(obj, resource.schema)
    return dropped


def _claim(
    registry: Registry, resource: ResourceType, how: Write, operation: str, paths: frozenset[server_side_apply.Path]
) -> server_side_apply.Entry:
    return server_side_apply.Entry(
        how.manager, operation, how.subresource or "", resource.api_version, registry.now(), paths
    )


def list_key(resource: ResourceType) -> server_side_apply.ListKey:
    return (
        server_side_apply.built_in_list_key
        if resource.schema is None
        else server_side_apply.schema_list_key(resource.schema)
    )
