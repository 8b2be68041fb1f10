"""What happens to an object between its arrival and the store: defaults, conversions, validation, by resource."""

from __future__ import annotations

from typing import Any

from embedded.api.scheme import (
    CUSTOM_RESOURCE_DEFINITIONS,
    JOBS,
    NAMESPACES,
    PODS,
    RESOURCE_QUOTAS,
    VALIDATING_WEBHOOKS,
    ResourceType,
)
from embedded.api.status_errors import Cause
from embedded.crd import definition, schema_validation, structural
from embedded.validation import builtins, defaults, job, pod, quota, webhooks

Json = dict[str, Any]


def admit(resource: ResourceType, obj: Json) -> list[Cause]:
    """Complete a new object, in place, and tell what is wrong with it.

    Raises:
        ApiError: 400, a value can't be read at all.
    """
    if resource.schema is not None:
        return _custom(resource, obj, None)
    if resource is NAMESPACES:
        metadata = obj["metadata"]
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    elif resource is PODS:
        defaults.default_pod(obj)
        return pod.pod_causes(obj)
    elif resource is JOBS:
        defaults.default_job(obj)
        return job.job_causes(obj)
    elif resource is CUSTOM_RESOURCE_DEFINITIONS:
        definition.default_crd(obj)
        return definition.crd_causes(obj)
    elif resource is RESOURCE_QUOTAS:
        obj.setdefault("status", {})
        quota.complete(obj)
        return quota.quota_causes(obj)
    elif resource is VALIDATING_WEBHOOKS:
        webhooks.default_configuration(obj)
        return webhooks.configuration_causes(obj)
    builtins.complete(resource, obj)
    return builtins.causes(resource, obj)


def admit_update(resource: ResourceType, old: Json, new: Json, subresource: str = "") -> list[Cause]:
    """The same for a changed object."""
    if resource.schema is not None:
        return _custom(resource, new, old)
    if subresource == "status":
        # Who writes a status is a controller; what is wanted of the object was judged when it was written.
        return []
    if resource is JOBS:
        defaults.default_job_spec(new.setdefault("spec", {}))
        return job.job_update_causes(old, new)
    if resource is PODS:
        defaults.default_pod_spec(new.setdefault("spec", {}))
        return pod.pod_update_causes(old, new)
    if resource is NAMESPACES:
        new["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = new["metadata"]["name"]
        # Which finalizers hold a namespace is changed at its `finalize`.
        return []
    if resource is RESOURCE_QUOTAS:
        quota.complete(new)
        return quota.quota_causes(new, old)
    if resource is CUSTOM_RESOURCE_DEFINITIONS:
        definition.default_crd(new)
        definition.remember_storage(new)
        return definition.crd_causes(new, old)
    if resource is VALIDATING_WEBHOOKS:
        webhooks.default_configuration(new)
        return webhooks.configuration_causes(new)
    builtins.complete(resource, new)
    return builtins.causes(resource, new, old)


def _custom(resource: ResourceType, obj: Json, old: Json | None) -> list[Cause]:
    assert resource.schema is not None
    structural.default(obj, resource.schema)
    return list(schema_validation.causes(obj, resource.schema, old))
