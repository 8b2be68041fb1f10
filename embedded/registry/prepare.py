"""From what a client sends to what the store would hold: every rule of a write up to the decision, nothing stored.

A `Change` is a write that may be made. Between proposing and storing one, others may be asked about it.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embedded.api import field_types, status_errors
from embedded.api.names import validate_generate_name, validate_object_meta
from embedded.api.scheme import (
    CUSTOM_RESOURCE_DEFINITIONS,
    EVENTS,
    LEASES,
    RBAC_RESOURCES,
    SERVICE_ACCOUNTS,
    VALIDATING_WEBHOOKS,
    ResourceType,
)
from embedded.crd import structural
from embedded.patch import patch as patches
from embedded.patch import server_side_apply
from embedded.registry import generation, object_meta
from embedded.registry.options import PatchType, WriteOptions
from embedded.storage.sqlite import StorageKey
from embedded.validation.admission import default_and_validate, default_and_validate_update

if TYPE_CHECKING:
    from embedded.registry.registry import Registry

Json = dict[str, Any]

_SERVER_FIELDS = ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields")
_CREATE_ON_UPDATE = (LEASES, EVENTS, *RBAC_RESOURCES)
"""An update of such an object that is not there makes it."""
_NO_UNCONDITIONAL_UPDATE = (LEASES, SERVICE_ACCOUNTS, CUSTOM_RESOURCE_DEFINITIONS, VALIDATING_WEBHOOKS)
"""Built-in kinds that, like custom ones, are only replaced by who has seen what they replace."""


@dataclass(frozen=True)
class PreparedWrite:
    """A write that has been judged.

    Attributes:
        at: the store's revision when it was judged.
        old: None when the object is new.
        warnings: what of the request was left out.
    """

    resource: ResourceType
    key: StorageKey
    old: Json | None
    new: Json
    base_revision: int
    options: WriteOptions
    warnings: tuple[str, ...] = ()


def prepare_create(
    registry: Registry,
    resource: ResourceType,
    obj: Json,
    namespace: str | None,
    options: WriteOptions,
    *,
    from_apply: bool = False,
) -> PreparedWrite:
    """A new object. With `applied`, the manager is recorded as the owner of all it set.

    Raises:
        ApiError: 400, 403, 404 (no such namespace), 409 (it exists), 422.
    """
    metadata = object_meta.complete_metadata(resource, obj, namespace)
    warnings = _decode(resource, obj, options)
    if metadata.get("resourceVersion") and not from_apply:
        raise status_errors.ApiError(500, "", "resourceVersion should not be set on objects to be created")
    if resource.terminating:
        raise status_errors.method_not_allowed()
    causes = validate_generate_name(metadata, resource.key)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:58] + registry.name_suffix()
    registry.require_namespace(resource, namespace, metadata.get("name") or "")
    for field in _SERVER_FIELDS:
        metadata.pop(field, None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = registry.now()
    if generation.has_generation(resource):
        metadata["generation"] = 1
    if resource.has_status:
        obj.pop("status", None)
    if from_apply:
        claim = _managed_fields_entry(
            registry, resource, options, "Apply", server_side_apply.field_paths(obj, list_key(resource))
        )
        server_side_apply.write_entries(obj, [claim])
    causes += validate_object_meta(metadata, resource.key)
    # A nameless object is refused, and told all else that is wrong with it.
    metadata.setdefault("name", "")
    object_meta.require_valid(resource, obj, causes + default_and_validate(resource, obj))
    key = registry.key(resource, namespace, metadata["name"])
    return PreparedWrite(resource, key, None, obj, registry.store.revision, options, warnings)


def prepare_update(
    registry: Registry, resource: ResourceType, obj: Json, namespace: str | None, name: str, options: WriteOptions
) -> PreparedWrite:
    """An update.

    Raises:
        ApiError: 400, 404, 409 (the object has changed since `resourceVersion`), 422.
    """
    metadata = object_meta.complete_metadata(resource, obj, namespace)
    if metadata.get("name", name) != name:
        raise status_errors.bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        )
    body = registry.store.get(registry.key(resource, namespace, name))
    if body is None and resource in _CREATE_ON_UPDATE and not options.subresource:
        metadata.pop("resourceVersion", None)
        return prepare_create(registry, resource, {**obj, "metadata": {**metadata, "name": name}}, namespace, options)
    if body is None:
        raise status_errors.not_found(resource.plural, name, resource.group)
    if (resource.schema is not None or resource in _NO_UNCONDITIONAL_UPDATE) and not metadata.get("resourceVersion"):
        message = "Invalid value: 0: must be specified for an update"
        cause = status_errors.FieldError("FieldValueInvalid", "metadata.resourceVersion", message)
        raise status_errors.invalid(resource.plural, name, resource.group, [cause])
    return _prepare_replacement(registry, resource, json.loads(body), obj, options, _decode(resource, obj, options))


def prepare_patch(
    registry: Registry,
    resource: ResourceType,
    namespace: str | None,
    name: str,
    patch: Any,
    patch_type: PatchType,
    options: WriteOptions,
) -> PreparedWrite:
    """A patch of any kind; an application may also make the object.

    Raises:
        ApiError: as `replacement`; for an application also 409 when it disagrees with another manager.
    """
    if patch_type == "apply":
        return _prepare_apply(registry, resource, namespace, name, patch, options)
    body = registry.convert(resource, registry.get_stored(resource, namespace, name))
    change = {"merge": patches.merge_patch, "json": patches.json_patch, "strategic": patches.strategic_merge_patch}[
        patch_type
    ]
    # Decoded twice, so that the old object and the new share nothing.
    base = json.loads(body)
    if resource.schema is not None:
        structural.prune(base, resource.schema)
    after = change(base, patch)
    if not isinstance(after, dict) or not isinstance(after.get("metadata"), dict):
        raise status_errors.bad_request("a patch must leave an object with metadata")
    object_meta.require_same_name(resource, after, namespace, name)
    try:
        warnings = _decode(resource, after, options)
    except status_errors.ApiError as error:
        why = error.message.partition(": ")[2]
        raise status_errors.invalid(
            "", "", "", [status_errors.FieldError("FieldValueInvalid", "patch", f"Invalid value: {why}")]
        ) from None
    return _prepare_replacement(registry, resource, json.loads(body), after, options, warnings, is_patch=True)


def _prepare_apply(
    registry: Registry, resource: ResourceType, namespace: str | None, name: str, patch: Any, options: WriteOptions
) -> PreparedWrite:
    if not isinstance(patch, dict):
        raise status_errors.bad_request(f"an apply patch must be an object of kind {resource.kind}")
    metadata = object_meta.complete_metadata(resource, patch, namespace)
    if metadata.setdefault("name", name) != name:
        raise status_errors.bad_request(f"name must be {name}, as in the URL, not {metadata['name']}")
    if metadata.get("managedFields"):
        raise status_errors.bad_request("metadata.managedFields must be nil")
    body = registry.store.get(registry.key(resource, namespace, name))
    if body is None:
        if options.subresource:
            raise status_errors.not_found(resource.plural, name, resource.group)
        if metadata.get("uid") or metadata.get("resourceVersion"):
            why = "the object does not exist, and the application names one that does"
            raise status_errors.conflict(resource.plural, name, resource.group, why)
        _decode_applied(resource, json.loads(json.dumps(patch)), options)
        return prepare_create(registry, resource, patch, namespace, options, from_apply=True)
    if resource.has_status and options.subresource is None:
        patch.pop("status", None)
    if options.subresource == "status":
        patch = {"apiVersion": patch["apiVersion"], "kind": patch["kind"], "metadata": metadata} | (
            {"status": patch["status"]} if "status" in patch else {}
        )
    _decode_applied(resource, patch, options)
    body = registry.convert(resource, body)
    live = json.loads(body)
    object_meta.check_identity(resource, live, patch)
    claim = _managed_fields_entry(registry, resource, options, "Apply", frozenset())
    after = server_side_apply.apply_patch(json.loads(body), patch, claim, list_key(resource), force=options.force)
    return _prepare_replacement(
        registry, resource, live, after, options, (), managed_fields=after["metadata"].get("managedFields")
    )


def _decode_applied(resource: ResourceType, patch: Json, options: WriteOptions) -> None:
    """As `_read`, of what is applied: that has to fit its schema, whatever is said of validation.

    Raises:
        ApiError: 500, it does not, as a real server has it; 400, it says something twice and the write is strict.
    """
    metadata = patch["metadata"]
    where = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
    group_version = f"{resource.group}/{resource.version}"
    what = f"failed to create typed patch object ({where}; {group_version}, Kind={resource.kind})"
    try:
        dropped = _drop_unknown_fields(resource, patch)
    except status_errors.ApiError as error:
        raise status_errors.ApiError(500, "", f"{what}: {error.message}") from None
    if dropped:
        lines = [f".{path}: field not declared in schema" for path in dropped]
        told = lines[0] if len(lines) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in lines)
        raise status_errors.ApiError(500, "", f"{what}: {told}")
    if options.duplicate_fields and options.strict:
        raise status_errors.bad_request(f"error strict decoding YAML: {options.duplicate_fields[0]}")


def _prepare_replacement(
    registry: Registry,
    resource: ResourceType,
    old: Json,
    new: Json,
    options: WriteOptions,
    warnings: tuple[str, ...],
    managed_fields: list[Json] | None = None,
    *,
    is_patch: bool = False,
) -> PreparedWrite:
    """`new` in the place of `old`, as far as rules allow. `record` replaces the one of field owners."""
    object_meta.check_identity(resource, old, new, check_uid=not is_patch)
    causes = object_meta.validate_immutable_fields(old, new)
    object_meta.keep_system_fields(old, new)
    new = object_meta.restrict_update(resource, old, new, options.subresource)
    metadata = new["metadata"]
    causes += validate_object_meta(metadata, resource.key, old["metadata"])
    causes += default_and_validate_update(resource, old, new, options.subresource or "")
    object_meta.require_valid(resource, new, causes)
    if options.subresource is None:
        generation.advance_generation(resource, old, new)
    if managed_fields is not None:
        metadata["managedFields"] = managed_fields
    elif "managedFields" in old["metadata"]:
        server_side_apply.update_managed_fields(
            old, new, _managed_fields_entry(registry, resource, options, "Update", frozenset()), list_key(resource)
        )
    metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
    key = registry.key(resource, metadata.get("namespace"), metadata["name"])
    return PreparedWrite(resource, key, old, new, registry.store.revision, options, warnings)


def _decode(resource: ResourceType, obj: Json, options: WriteOptions) -> tuple[str, ...]:
    """Drop what the resource has no field for, in place, and tell of it.

    Raises:
        ApiError: 400, a value is of a wrong type, or something was dropped and the write is strict.
    """
    told = (*options.duplicate_fields, *(f'unknown field "{path}"' for path in _drop_unknown_fields(resource, obj)))
    if told and options.strict:
        raise field_types.decode_error(resource, f"strict decoding error: {', '.join(told)}")
    return told


def _drop_unknown_fields(resource: ResourceType, obj: Json) -> list[str]:
    """The paths of what was dropped."""
    dropped = field_types.drop_unknown_fields(resource, obj)
    object_meta.drop_empty_fields(resource, obj)
    if resource.schema is not None:
        dropped += structural.prune(obj, resource.schema)
    return dropped


def _managed_fields_entry(
    registry: Registry,
    resource: ResourceType,
    options: WriteOptions,
    operation: str,
    paths: frozenset[server_side_apply.FieldPath],
) -> server_side_apply.ManagedFieldsEntry:
    return server_side_apply.ManagedFieldsEntry(
        options.field_manager, operation, options.subresource or "", resource.api_version, registry.now(), paths
    )


def list_key(resource: ResourceType) -> server_side_apply.ListKey:
    return (
        server_side_apply.built_in_list_key
        if resource.schema is None
        else server_side_apply.schema_list_key(resource.schema)
    )
