"""Turns requests into prepared writes: decoding, defaulting and validation, with nothing stored yet.

Between preparing a write and storing it, the escalation guard and admission webhooks may refuse it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from embedded.api import status_errors
from embedded.api.field_types import complete_fields
from embedded.api.names import validate_generate_name, validate_object_meta
from embedded.api.scheme import (
    CUSTOM_RESOURCE_DEFINITIONS,
    EVENTS,
    LEASES,
    RBAC_RESOURCES,
    SERVICE_ACCOUNTS,
    VALIDATING_WEBHOOKS,
    ObjectRef,
    ResourceType,
)
from embedded.crd import structural
from embedded.patch import merge_patch, server_side_apply
from embedded.patch.json_patch import json_patch
from embedded.registry import object_meta
from embedded.registry.decode import decode, decode_applied
from embedded.registry.options import PatchType, WriteOptions
from embedded.registry.reader import ObjectReader, storage_key
from embedded.storage.sqlite import StorageKey
from embedded.types import JsonObject
from embedded.validation.events import complete_v1_errors
from embedded.validation.strategy import default_and_validate, default_and_validate_update

_SERVER_FIELDS = ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields")
"""Metadata that a client cannot set on a new object."""
_CREATE_ON_UPDATE = (LEASES, EVENTS, *RBAC_RESOURCES)
"""Resources whose update creates a missing object, as their strategies' `AllowCreateOnUpdate` says."""
_NO_UNCONDITIONAL_UPDATE = (LEASES, SERVICE_ACCOUNTS, CUSTOM_RESOURCE_DEFINITIONS, VALIDATING_WEBHOOKS)
"""Built-in kinds that, like custom ones, need a resourceVersion in an update."""
_MAX_GENERATED_NAMES = 8
_MAX_GENERATE_NAME_PREFIX = 58


@dataclass(frozen=True)
class PreparedWrite:
    """A validated write.

    Attributes:
        old: None when the object is new.
        base_revision: the store's revision at which it was validated.
        warnings: the fields of the request that were dropped.
    """

    resource: ResourceType
    key: StorageKey
    old: JsonObject | None
    new: JsonObject
    base_revision: int
    options: WriteOptions
    warnings: tuple[str, ...] = ()


class WritePreparer:
    """Prepares creates, updates and patches.

    Args:
        reader: reads the objects that updates and patches start from.
        name_suffix: returns the five random characters that complete a generateName.
    """

    def __init__(self, reader: ObjectReader, name_suffix: Callable[[], str]) -> None:
        self._reader = reader
        self._name_suffix = name_suffix

    def create(
        self,
        resource: ResourceType,
        obj: JsonObject,
        namespace: str | None,
        options: WriteOptions,
        *,
        from_apply: bool = False,
    ) -> PreparedWrite:
        """A new object. With `from_apply`, the field manager owns every field that it set.

        Raises:
            ApiError: 400, 403, 404 (no such namespace), 409 (it exists), 422.
        """
        metadata = object_meta.complete_metadata(resource, obj, namespace)
        warnings = decode(resource, obj, options)
        if metadata.get("resourceVersion") and not from_apply:
            raise status_errors.ApiError(500, "", "resourceVersion should not be set on objects to be created")
        if resource.terminating:
            raise status_errors.method_not_allowed()
        errors = validate_generate_name(metadata, resource.key)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = self._generate_name(resource, namespace, metadata["generateName"])
        self._reader.require_namespace(ObjectRef(resource, namespace, metadata.get("name") or ""))
        self._set_server_fields(resource, metadata)
        if resource.has_status:
            obj.pop("status", None)
        if from_apply:
            paths = server_side_apply.field_paths(obj, _list_key(resource))
            entry = self._managed_fields_entry(resource, options, "Apply", paths)
            server_side_apply.write_entries(obj, [entry])
        complete_fields(resource, obj)
        errors += validate_object_meta(metadata, resource.key)
        # An object without a name is refused, with all its other errors.
        metadata.setdefault("name", "")
        errors += default_and_validate(resource, obj)
        if options.events_v1:
            errors = complete_v1_errors(errors, obj)
        object_meta.require_valid(resource, obj, errors)
        key = storage_key(ObjectRef(resource, namespace, metadata["name"]))
        return PreparedWrite(resource, key, None, obj, self._reader.store.revision, options, warnings)

    def _generate_name(self, resource: ResourceType, namespace: str | None, prefix: str) -> str:
        """A name that is free, if one of the first few is. Otherwise the creation fails, as on a real server."""
        for _ in range(_MAX_GENERATED_NAMES):
            name = prefix[:_MAX_GENERATE_NAME_PREFIX] + self._name_suffix()
            if self._reader.store.get(storage_key(ObjectRef(resource, namespace, name))) is None:
                break
        return name

    def _set_server_fields(self, resource: ResourceType, metadata: JsonObject) -> None:
        for field in _SERVER_FIELDS:
            metadata.pop(field, None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = self._reader.now()
        if object_meta.has_generation(resource):
            metadata["generation"] = 1

    def update(self, ref: ObjectRef, obj: JsonObject, options: WriteOptions) -> PreparedWrite:
        """A full replacement.

        Raises:
            ApiError: 400, 404, 409 (the object has changed since `resourceVersion`), 422.
        """
        resource, name = ref.resource, ref.name
        metadata = object_meta.complete_metadata(resource, obj, ref.namespace)
        if metadata.get("name", name) != name:
            raise status_errors.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        body = self._reader.store.get(storage_key(ref))
        if body is None and resource in _CREATE_ON_UPDATE and not options.subresource:
            metadata.pop("resourceVersion", None)
            return self.create(resource, {**obj, "metadata": {**metadata, "name": name}}, ref.namespace, options)
        if body is None:
            raise status_errors.not_found(resource.plural, name, resource.group)
        if (resource.schema is not None or resource in _NO_UNCONDITIONAL_UPDATE) and not metadata.get(
            "resourceVersion"
        ):
            message = "Invalid value: 0: must be specified for an update"
            error = status_errors.FieldError("FieldValueInvalid", "metadata.resourceVersion", message)
            raise status_errors.invalid(resource.plural, name, resource.group, [error])
        warnings = decode(resource, obj, options)
        return self._replace(resource, json.loads(body), obj, options, warnings)

    def patch(self, ref: ObjectRef, patch: Any, patch_type: PatchType, options: WriteOptions) -> PreparedWrite:
        """A patch of any type; an apply patch may also create the object.

        Raises:
            ApiError: as `update`; for apply also 409 on a conflict with another field manager.
        """
        if patch_type == "apply":
            return self._apply(ref, patch, options)
        resource = ref.resource
        body = self._reader.get_bytes(ref)
        # Decoded twice, so that the old and the new object share nothing.
        base = json.loads(body)
        if resource.schema is not None:
            structural.prune(base, resource.schema)
        after = _PATCHES[patch_type](base, patch)
        if not isinstance(after, dict) or not isinstance(after.get("metadata"), dict):
            raise status_errors.bad_request("a patch must leave an object with metadata")
        object_meta.require_same_name(resource, after, ref.namespace, ref.name)
        try:
            warnings = decode(resource, after, options)
        except status_errors.ApiError as error:
            message = f"Invalid value: {error.message.partition(': ')[2]}"
            field_error = status_errors.FieldError("FieldValueInvalid", "patch", message)
            raise status_errors.invalid("", "", "", [field_error]) from None
        return self._replace(resource, json.loads(body), after, options, warnings, is_patch=True)

    def _apply(self, ref: ObjectRef, patch: Any, options: WriteOptions) -> PreparedWrite:
        resource = ref.resource
        sent_name = _sent_name(patch)
        metadata = _check_applied(ref, patch)
        body = self._reader.store.get(storage_key(ref))
        if body is None:
            return self._create_from_apply(ref, patch, options, sent_name)
        if resource.has_status and options.subresource is None:
            patch.pop("status", None)
        if options.subresource == "status":
            status = {"status": patch["status"]} if "status" in patch else {}
            patch = {"apiVersion": patch["apiVersion"], "kind": patch["kind"], "metadata": metadata, **status}
        decode_applied(resource, patch, options, sent_name)
        body = self._reader.convert(resource, body)
        live = json.loads(body)
        object_meta.check_identity(resource, live, patch)
        writer = self._managed_fields_entry(resource, options, "Apply", frozenset())
        after = server_side_apply.apply_patch(json.loads(body), patch, writer, _list_key(resource), force=options.force)
        _require_name_of_url(ref, metadata)
        return self._replace(resource, live, after, options, (), managed_fields=after["metadata"].get("managedFields"))

    def _create_from_apply(
        self, ref: ObjectRef, patch: JsonObject, options: WriteOptions, sent_name: str
    ) -> PreparedWrite:
        resource, metadata = ref.resource, patch["metadata"]
        _require_name_of_url(ref, metadata)
        if options.subresource:
            raise status_errors.not_found(resource.plural, ref.name, resource.group)
        if metadata.get("uid") or metadata.get("resourceVersion"):
            detail = "the object does not exist, but the patch names the uid or resourceVersion of one"
            raise status_errors.conflict(resource.plural, ref.name, resource.group, detail)
        decode_applied(resource, json.loads(json.dumps(patch)), options, sent_name)
        return self.create(resource, patch, ref.namespace, options, from_apply=True)

    def _replace(
        self,
        resource: ResourceType,
        old: JsonObject,
        new: JsonObject,
        options: WriteOptions,
        warnings: tuple[str, ...],
        *,
        managed_fields: list[JsonObject] | None = None,
        is_patch: bool = False,
    ) -> PreparedWrite:
        """Validate `new` as the successor of `old`. `managed_fields` replaces the recorded field owners."""
        object_meta.check_identity(resource, old, new, check_uid=not is_patch)
        errors = object_meta.validate_immutable_fields(old, new)
        object_meta.keep_system_fields(old, new)
        new = object_meta.restrict_update(resource, old, new, options.subresource)
        complete_fields(resource, new)
        metadata = new["metadata"]
        errors += validate_object_meta(metadata, resource.key, old["metadata"])
        errors += default_and_validate_update(resource, old, new, options.subresource or "")
        if options.events_v1:
            errors = complete_v1_errors(errors, new, old)
        object_meta.require_valid(resource, new, errors)
        if options.subresource is None:
            object_meta.advance_generation(resource, old, new)
        if managed_fields is not None:
            metadata["managedFields"] = managed_fields
        elif "managedFields" in old["metadata"]:
            writer = self._managed_fields_entry(resource, options, "Update", frozenset())
            server_side_apply.update_managed_fields(old, new, writer, _list_key(resource))
        metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
        key = storage_key(ObjectRef(resource, metadata.get("namespace"), metadata["name"]))
        return PreparedWrite(resource, key, old, new, self._reader.store.revision, options, warnings)

    def _managed_fields_entry(
        self,
        resource: ResourceType,
        options: WriteOptions,
        operation: str,
        paths: frozenset[server_side_apply.FieldPath],
    ) -> server_side_apply.ManagedFieldsEntry:
        return server_side_apply.ManagedFieldsEntry(
            options.field_manager,
            operation,
            options.subresource or "",
            resource.api_version,
            self._reader.now(),
            paths,
        )


_PATCHES: dict[PatchType, Callable[[Any, Any], Any]] = {
    "merge": merge_patch.merge_patch,
    "strategic": merge_patch.strategic_merge_patch,
    "json": json_patch,
}


def _check_applied(ref: ObjectRef, patch: Any) -> JsonObject:
    """Check and complete what every apply patch has; returns its metadata.

    Raises:
        ApiError: 400.
    """
    if not isinstance(patch, dict):
        raise status_errors.bad_request(f"an apply patch must be an object of kind {ref.resource.kind}")
    metadata = object_meta.complete_metadata(ref.resource, patch, ref.namespace)
    metadata.setdefault("name", ref.name)
    if metadata.get("managedFields"):
        raise status_errors.bad_request("metadata.managedFields must be nil")
    return metadata


def _sent_name(patch: Any) -> str:
    """`<namespace>/<name>` of an apply patch before it is completed."""
    metadata = patch.get("metadata") if isinstance(patch, dict) else None
    if not isinstance(metadata, dict):
        return "/"
    return f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"


def _require_name_of_url(ref: ObjectRef, metadata: JsonObject) -> None:
    """Check the name in an apply patch; conflicts with other field managers are found before it.

    Raises:
        ApiError: 400.
    """
    if metadata["name"] != ref.name:
        raise status_errors.bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({ref.name})"
        )


def _list_key(resource: ResourceType) -> server_side_apply.ListKey:
    """How server-side apply identifies the items of the resource's lists."""
    if resource.schema is None:
        return server_side_apply.built_in_list_key
    return server_side_apply.schema_list_key(resource.schema)
