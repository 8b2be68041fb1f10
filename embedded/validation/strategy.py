"""Defaults and validation by resource, like the create and update strategies of a real API server."""

from __future__ import annotations

from embedded.api.scheme import (
    CUSTOM_RESOURCE_DEFINITIONS,
    JOBS,
    NAMESPACES,
    PODS,
    RESOURCE_QUOTAS,
    VALIDATING_WEBHOOKS,
    ResourceType,
)
from embedded.api.status_errors import FieldError
from embedded.crd import definition, schema_validation, structural
from embedded.types import JsonObject
from embedded.validation import builtins, defaults, job, pod, pod_admission, quota, webhooks


def default_and_validate(resource: ResourceType, obj: JsonObject) -> list[FieldError]:
    """Set the defaults of a new object, in place, and return its errors.

    Raises:
        ApiError: 400, a value cannot be decoded; 403, a pod has a class that does not exist.
    """
    if resource.schema is not None:
        return _custom_resource(resource, obj, None)
    if resource is NAMESPACES:
        metadata = obj["metadata"]
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    elif resource is PODS:
        pod_admission.admit_pod(obj)
        defaults.set_pod_defaults(obj)
        return pod.validate_pod(obj)
    elif resource is JOBS:
        defaults.set_job_defaults(obj)
        return job.validate_job(obj)
    elif resource is CUSTOM_RESOURCE_DEFINITIONS:
        definition.set_crd_defaults(obj)
        return definition.validate_crd(obj)
    elif resource is RESOURCE_QUOTAS:
        obj.setdefault("status", {})
        quota.canonicalize_limits(obj)
        return quota.validate_quota(obj)
    elif resource is VALIDATING_WEBHOOKS:
        webhooks.set_configuration_defaults(obj)
        return webhooks.validate_configuration(obj)
    builtins.set_defaults(resource, obj)
    return builtins.validate(resource, obj)


def default_and_validate_update(
    resource: ResourceType, old: JsonObject, new: JsonObject, subresource: str = ""
) -> list[FieldError]:
    """Set the defaults of an updated object, in place, and return its errors."""
    if resource.schema is not None:
        return _custom_resource(resource, new, old)
    if subresource == "status":
        # A status comes from a controller, and the rest of the object was validated when it was written.
        return []
    if resource is JOBS:
        defaults.set_job_spec_defaults(new.setdefault("spec", {}))
        return job.validate_job_update(old, new)
    if resource is PODS:
        defaults.set_pod_spec_defaults(new.setdefault("spec", {}))
        return pod.validate_pod_update(old, new)
    if resource is NAMESPACES:
        new["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = new["metadata"]["name"]
        # The finalizers of a namespace change through its `finalize` subresource.
        return []
    if resource is RESOURCE_QUOTAS:
        quota.canonicalize_limits(new)
        return quota.validate_quota(new, old)
    if resource is CUSTOM_RESOURCE_DEFINITIONS:
        definition.set_crd_defaults(new)
        definition.record_storage_version(new)
        return definition.validate_crd(new, old)
    if resource is VALIDATING_WEBHOOKS:
        webhooks.set_configuration_defaults(new)
        return webhooks.validate_configuration(new)
    builtins.set_defaults(resource, new)
    return builtins.validate(resource, new, old)


def _custom_resource(resource: ResourceType, obj: JsonObject, old: JsonObject | None) -> list[FieldError]:
    assert resource.schema is not None
    structural.set_defaults(obj, resource.schema)
    return list(schema_validation.validate_value(obj, resource.schema, old))
