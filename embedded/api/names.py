"""Validation of names, labels, annotations and finalizers. Rules and messages are those of apimachinery."""

from __future__ import annotations

import re

from embedded.api.field_errors import forbidden, invalid, required, too_long
from embedded.api.status_errors import FieldError
from embedded.types import JsonObject

SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_PATH_SEGMENT = re.compile(r"(?!\.\.?$)[^/%]+")

SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    f"and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{SUBDOMAIN}')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    f"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_QUALIFIED_NAME_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_MAX_ANNOTATIONS_BYTES = 256 << 10
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_STRICT_FINALIZERS = (
    *("configmaps", "secrets", "pods", "jobs.batch", "serviceaccounts", "namespaces", "events", "resourcequotas"),
    *("nodes", "leases.coordination.k8s.io"),
)
_RBAC = "rbac.authorization.k8s.io"


def validate_dns1123_label(name: str) -> str:
    """Why a name of a container or volume is not an RFC 1123 label; empty when it is valid."""
    if not re.fullmatch(_LABEL, name):
        return _LABEL_RULE
    return "must be no more than 63 bytes" if len(name) > 63 else ""


def validate_dns1035_label(name: str) -> str:
    """Why `name` is not an RFC 1035 label; empty when it is valid."""
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        return (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
            "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
            "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
        )
    return "must be no more than 63 characters" if len(name) > 63 else ""


def validate_name(name: str, resource: str) -> str | None:
    """Why `name` is not valid for an object of the resource (a `ResourceType.key`); None when it is valid."""
    if resource.endswith(_RBAC):
        return None if _PATH_SEGMENT.fullmatch(name) else "may not be '.' or '..', or contain '/' or '%'"
    if resource == "namespaces":
        if len(name) > 63:
            return "must be no more than 63 bytes"
        return None if re.fullmatch(_LABEL, name) else _LABEL_RULE
    if len(name) > 253:
        return "must be no more than 253 bytes"
    return None if re.fullmatch(SUBDOMAIN, name) else SUBDOMAIN_RULE


def validate_generate_name(metadata: JsonObject, resource: str) -> list[FieldError]:
    """Validate `generateName`, which may end in a dash."""
    prefix = metadata.get("generateName")
    if not prefix:
        return []
    whole = prefix[:-1] + "a" if prefix.endswith("-") else prefix
    detail = validate_name(whole, resource)
    return [invalid("metadata.generateName", prefix, detail)] if detail else []


def validate_object_meta(metadata: JsonObject, resource: str, old: JsonObject | None = None) -> list[FieldError]:
    """Validate the metadata of an object; `old` is its metadata before an update."""
    errors: list[FieldError] = []
    name = metadata.get("name")
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    if detail := validate_name(name, resource):
        errors.append(invalid("metadata.name", name, detail))
    errors += validate_labels(metadata.get("labels") or {}, "metadata.labels")
    errors += _validate_annotations(metadata.get("annotations") or {})
    errors += _validate_owner_references(metadata.get("ownerReferences") or [])
    return errors + _validate_finalizers(metadata, resource, old)


def _validate_annotations(annotations: JsonObject) -> list[FieldError]:
    path = "metadata.annotations"
    errors = [invalid(path, key, detail) for key in annotations if (detail := validate_qualified_name(key.lower()))]
    if sum(len(key.encode()) + len(str(value).encode()) for key, value in annotations.items()) > _MAX_ANNOTATIONS_BYTES:
        errors.append(too_long(path, _MAX_ANNOTATIONS_BYTES))
    return errors


def _validate_owner_references(owners: list[JsonObject]) -> list[FieldError]:
    errors = []
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]"
        requested = {"apiVersion": "version", "kind": "kind", "name": "name", "uid": "uid"}
        for field, word in requested.items():
            if not owner.get(field):
                displayed = owner.get(field, "")
                errors.append(invalid(f"{path}.{field}", displayed, f"{word} must not be empty"))
    controllers = [str(owner.get("name")) for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        message = (
            'Invalid value: Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {controllers[1]}"
        )
        errors.append(FieldError("FieldValueInvalid", "metadata.ownerReferences", message))
    return errors


def _validate_finalizers(metadata: JsonObject, resource: str, old: JsonObject | None) -> list[FieldError]:
    errors = []
    finalizers = metadata.get("finalizers") or []
    for index, finalizer in enumerate(finalizers):
        if detail := validate_qualified_name(finalizer):
            errors.append(invalid("metadata.finalizers", finalizer, detail))
        elif "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS and resource in _STRICT_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(f"metadata.finalizers[{index}]", finalizer, detail))
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(invalid("metadata.finalizers", "orphan", detail))
    if old is not None and "deletionTimestamp" in old:
        added = [finalizer for finalizer in finalizers if finalizer not in (old.get("finalizers") or [])]
        if added:
            listed = ", ".join(f'"{finalizer}"' for finalizer in added)
            detail = (
                "no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{listed}}}"
            )
            errors.append(forbidden("metadata.finalizers", detail))
    return errors


def validate_labels(labels: JsonObject, field: str) -> list[FieldError]:
    errors = []
    for key, value in labels.items():
        if detail := validate_qualified_name(key):
            errors.append(invalid(field, key, detail))
        if not isinstance(value, str):
            errors.append(FieldError("FieldValueTypeInvalid", field, f"Invalid value: {value!r}: must be a string"))
        elif detail := validate_label_value(value):
            errors.append(invalid(field, value, detail))
    return errors


def validate_label_value(value: str) -> str | None:
    """Why the value of a label, taint or toleration is not valid; None when it is."""
    if len(value) > 63:
        return "must be no more than 63 bytes"
    return None if not value or re.fullmatch(_QUALIFIED, value) else _LABEL_VALUE_RULE


def validate_qualified_name(key: str) -> str | None:
    """Why the key of a label, annotation or taint, or a finalizer, is not valid; None when it is."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not re.fullmatch(SUBDOMAIN, prefix)):
        return f"prefix part {SUBDOMAIN_RULE}"
    if len(name) > 63:
        return "name part must be no more than 63 bytes"
    return None if re.fullmatch(_QUALIFIED, name) else _QUALIFIED_NAME_RULE
