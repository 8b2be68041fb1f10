"""Rules for apiVersion, kind and metadata: what clients may write, and what the server maintains."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from embedded.api import status_errors
from embedded.api.field_errors import invalid
from embedded.api.scheme import (
    CUSTOM_RESOURCE_DEFINITIONS,
    JOBS,
    NAMESPACES,
    PODS,
    VALIDATING_WEBHOOKS,
    ResourceType,
)
from embedded.types import JsonObject

_SYSTEM_FIELDS = (
    *("name", "namespace", "uid", "creationTimestamp", "generation", "generateName", "managedFields"),
    *("deletionTimestamp", "deletionGracePeriodSeconds"),
)
_IMMUTABLE = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_OMIT_EMPTY_METADATA = ("labels", "annotations", "finalizers", "ownerReferences", "generateName")
_OMIT_EMPTY = ("data", "binaryData", "stringData")
_BUILT_INS_WITH_GENERATION = frozenset({JOBS.key, PODS.key, CUSTOM_RESOURCE_DEFINITIONS.key, VALIDATING_WEBHOOKS.key})


def format_time(moment: datetime) -> str:
    """A metav1.Time: RFC 3339 in UTC, with whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def complete_metadata(resource: ResourceType, obj: JsonObject, namespace: str | None) -> JsonObject:
    """Check and complete apiVersion, kind and namespace, in place; returns the metadata.

    Raises:
        ApiError: 400, the object has another kind or namespace than the request; 422, a custom resource has another
            kind.
    """
    metadata = obj.get("metadata")
    if metadata is None:
        metadata = obj["metadata"] = {}
    if not isinstance(metadata, dict):
        raise status_errors.bad_request(f"{resource.kind}.metadata must be an object")
    api_version = obj.setdefault("apiVersion", resource.api_version)
    kind = obj.setdefault("kind", resource.kind)
    if (api_version, kind) != (resource.api_version, resource.kind):
        if kind == resource.kind:
            expected = resource.api_version
            detail = f"the API version in the data ({api_version}) does not match the expected API version ({expected})"
            raise status_errors.bad_request(detail)
        if resource.schema is not None:
            error = invalid("kind", kind, f"must be {resource.kind}")
            raise status_errors.invalid(str(kind), str(metadata.get("name") or ""), resource.group, [error])
        version = str(api_version).rpartition("/")[2]
        raise status_errors.bad_request(
            f'{kind} in version "{version}" cannot be handled as a {resource.kind}: the request is for '
            f"{resource.api_version} {resource.kind}"
        )
    if not resource.namespaced:
        metadata.pop("namespace", None)
    elif (metadata.get("namespace") or namespace) != namespace:
        detail = "the namespace of the provided object does not match the namespace sent on the request"
        raise status_errors.bad_request(detail)
    else:
        metadata["namespace"] = namespace
    return metadata


def drop_empty_fields(resource: ResourceType, obj: JsonObject) -> None:
    """Remove the empty fields that a real server omits, in place."""
    omitted = _OMIT_EMPTY if resource.schema is None else ()
    for holder, fields in ((obj["metadata"], _OMIT_EMPTY_METADATA), (obj, omitted)):
        for field in fields:
            if field in holder and not holder[field]:
                del holder[field]


def require_valid(resource: ResourceType, obj: JsonObject, errors: Iterable[status_errors.FieldError]) -> None:
    """Refuse an object that has errors.

    Raises:
        ApiError: 422.
    """
    found = list(errors)
    if found:
        raise status_errors.invalid(resource.kind, obj["metadata"].get("name", ""), resource.group, found)


def validate_immutable_fields(old: JsonObject, new: JsonObject) -> list[status_errors.FieldError]:
    """Errors for immutable metadata that a write would change. Fields that the write omits stay as they are."""
    before, after = old["metadata"], new["metadata"]
    return [
        invalid(f"metadata.{field}", after[field], "field is immutable")
        for field in _IMMUTABLE
        if after.get(field) is not None
        and after[field] != before.get(field)
        # For an object that is being deleted, these are restored instead.
        and not (field.startswith("deletion") and "deletionTimestamp" in before)
    ]


def require_same_name(resource: ResourceType, obj: JsonObject, namespace: str | None, name: str) -> None:
    """Check that a patch has not changed name and namespace.

    Raises:
        ApiError: 400.
    """
    metadata = obj["metadata"]
    if metadata.get("name") != name:
        given = metadata.get("name", "")
        raise status_errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    if resource.namespaced and (metadata.get("namespace") or namespace) != namespace:
        given = metadata["namespace"]
        detail = f"the namespace of the object ({given}) does not match the namespace on the request ({namespace})"
        raise status_errors.bad_request(detail)


def check_identity(resource: ResourceType, old: JsonObject, new: JsonObject, *, check_uid: bool = True) -> None:
    """Check that a write is meant for the current object.

    Raises:
        ApiError: 409, it has another resourceVersion or, with `check_uid`, another uid.
    """
    version, uid = new["metadata"].get("resourceVersion"), new["metadata"].get("uid") if check_uid else None
    name = old["metadata"]["name"]
    if version and version != old["metadata"]["resourceVersion"]:
        raise status_errors.conflict(resource.plural, name, resource.group)
    if uid and uid != old["metadata"]["uid"]:
        detail = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
        raise status_errors.conflict(resource.plural, name, resource.group, detail)


def check_preconditions(resource: ResourceType, old: JsonObject, preconditions: JsonObject) -> None:
    """Check the preconditions of a deletion.

    Raises:
        ApiError: 409, uid or resourceVersion differ.
    """
    metadata = old["metadata"]
    for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if preconditions.get(field) and preconditions[field] != metadata[field]:
            detail = (
                f"the {word} in the precondition ({preconditions[field]}) does not match the {word} in record "
                f"({metadata[field]}). The object might have been deleted and then recreated"
            )
            raise status_errors.conflict(resource.kind, metadata["name"], resource.group, detail)


def keep_system_fields(old: JsonObject, new: JsonObject) -> None:
    """Restore the fields that a client cannot change, in place."""
    for field in _SYSTEM_FIELDS:
        if field in old["metadata"]:
            new["metadata"][field] = old["metadata"][field]
        else:
            new["metadata"].pop(field, None)
    new["apiVersion"], new["kind"] = old["apiVersion"], old["kind"]


def desired_state(resource: ResourceType, obj: JsonObject) -> JsonObject:
    """The part of an object whose change makes a new generation: everything but metadata and status."""
    left_out = ("metadata", "status") if resource.has_status else ("metadata",)
    return {key: value for key, value in obj.items() if key not in left_out}


def has_generation(resource: ResourceType) -> bool:
    """Whether objects of the resource have `metadata.generation`: custom resources and some built-in kinds."""
    return resource.schema is not None or resource.key in _BUILT_INS_WITH_GENERATION


def advance_generation(resource: ResourceType, old: JsonObject, new: JsonObject) -> None:
    """Increase the generation of `new` when its desired state differs from that of `old`."""
    if has_generation(resource) and desired_state(resource, old) != desired_state(resource, new):
        new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1


def restrict_update(resource: ResourceType, old: JsonObject, new: JsonObject, subresource: str | None) -> JsonObject:
    """`new`, restricted to the fields that this endpoint may change: only the status, or all but the status."""
    if resource is NAMESPACES:
        # The spec of a namespace has only finalizers, and they change through its `finalize` subresource.
        return _restrict_namespace_update(old, new, subresource)
    if subresource == "status":
        return {**old, "status": new.get("status", {}), "metadata": dict(old["metadata"])}
    if resource.has_status:
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
    return new


def _restrict_namespace_update(old: JsonObject, new: JsonObject, subresource: str | None) -> JsonObject:
    if subresource == "finalize":
        return {**old, "spec": new.get("spec") or {}, "metadata": dict(old["metadata"])}
    if subresource == "status":
        return {**old, "status": new.get("status", {}), "metadata": dict(old["metadata"])}
    return {**new, "spec": old["spec"], "status": old["status"]}
