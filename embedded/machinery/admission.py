"""What happens to an object between its arrival and the store: defaults, conversions, validation, by resource."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from embedded.machinery import crds, job_validation, quota, schema_checks, structural, webhooks, workloads
from embedded.machinery.errors import Cause, bad_request
from embedded.machinery.resources import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    JOBS,
    NAMESPACES,
    PODS,
    RESOURCE_QUOTAS,
    SECRETS,
    VALIDATING_WEBHOOKS,
    ResourceType,
)

Json = dict[str, Any]


def admit(resource: ResourceType, obj: Json) -> list[Cause]:
    """Complete a new object, in place, and tell what is wrong with it.

    Raises:
        ApiError: 400, a value can't be read at all.
    """
    if resource.schema is not None:
        return _custom(resource, obj, None)
    if resource is SECRETS:
        obj.setdefault("type", "Opaque")
        _encode_string_data(obj)
    elif resource is NAMESPACES:
        metadata = obj["metadata"]
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    elif resource is PODS:
        workloads.default_pod(obj)
        return workloads.pod_spec_causes(obj["spec"])
    elif resource is JOBS:
        workloads.default_job(obj)
        return workloads.job_causes(obj)
    elif resource is CUSTOM_RESOURCE_DEFINITIONS:
        crds.default_crd(obj)
        return crds.crd_causes(obj)
    elif resource is RESOURCE_QUOTAS:
        obj.setdefault("status", {})
        return quota.quota_causes(obj)
    elif resource is VALIDATING_WEBHOOKS:
        webhooks.default_configuration(obj)
        return webhooks.configuration_causes(obj)
    return []


def admit_update(resource: ResourceType, old: Json, new: Json, subresource: str = "") -> list[Cause]:
    """The same for a changed object."""
    if resource.schema is not None:
        return _custom(resource, new, old)
    if resource is SECRETS:
        _encode_string_data(new)
        return _immutable(old, new, ("data", "type"))
    if resource is CONFIG_MAPS:
        return _immutable(old, new, ("data", "binaryData"))
    if resource is JOBS:
        return _job_update(old, new)
    if resource is PODS:
        return _pod_update(old, new)
    if resource is RESOURCE_QUOTAS:
        return quota.quota_causes(new)
    if resource is CUSTOM_RESOURCE_DEFINITIONS:
        crds.default_crd(new)
        crds.remember_storage(new)
        return crds.crd_causes(new, old)
    if resource is VALIDATING_WEBHOOKS:
        webhooks.default_configuration(new)
        return webhooks.configuration_causes(new)
    return []


def _custom(resource: ResourceType, obj: Json, old: Json | None) -> list[Cause]:
    assert resource.schema is not None
    structural.default(obj, resource.schema)
    return list(schema_checks.causes(obj, resource.schema, old))


def _encode_string_data(secret: Json) -> None:
    """stringData is write-only: it ends up in data, where it wins."""
    plain = secret.pop("stringData", None)
    if plain:
        data = secret.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(str(value).encode()).decode()
    for value in (secret.get("data") or {}).values():
        try:
            base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise bad_request(
                'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
            ) from None


def _immutable(old: Json, new: Json, fields: tuple[str, ...]) -> list[Cause]:
    if not old.get("immutable"):
        return []
    message = "Forbidden: field is immutable when `immutable` is set"
    changed = [field for field in (*fields, "immutable") if old.get(field) != new.get(field)]
    return [Cause("FieldValueForbidden", field, message) for field in changed]


def _job_update(old: Json, new: Json) -> list[Cause]:
    causes = workloads.job_causes(new)
    causes += job_validation.update_causes(old["spec"], new["spec"])
    for field in ("selector", "template"):
        before, after = old["spec"].get(field), new["spec"].get(field)
        # While a Job is suspended and has not started, its template may still be aimed at other nodes; not here.
        if before != after:
            at = "spec.template.spec" if field == "template" else f"spec.{field}"
            causes.append(Cause("FieldValueInvalid", at, "Invalid value: field is immutable"))
    return causes


_POD_MAY_CHANGE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName")


def _pod_update(old: Json, new: Json) -> list[Cause]:
    def fixed(pod: Json) -> Json:
        spec = {key: value for key, value in pod["spec"].items() if key not in _POD_MAY_CHANGE}
        for where in ("containers", "initContainers"):
            spec[where] = [{**container, "image": ""} for container in spec.get(where) or []]
        return spec

    causes = []
    if fixed(old) != fixed(new):
        message = "Forbidden: pod updates may not change fields other than a few (activeDeadlineSeconds, image, …)"
        causes.append(Cause("FieldValueForbidden", "spec", message))
    before, after = old["spec"].get("activeDeadlineSeconds"), new["spec"].get("activeDeadlineSeconds")
    if before is not None and (after is None or after > before):
        message = f"Invalid value: {after}: must be less than or equal to previous value"
        causes.append(Cause("FieldValueInvalid", "spec.activeDeadlineSeconds", message))
    return causes
