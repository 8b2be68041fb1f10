"""Defaults and validation of ConfigMaps, Secrets, Leases, Events, roles and role bindings.

Rules and messages are those of Kubernetes' `pkg/apis/*/validation`.
"""

from __future__ import annotations

import base64
import json
import re

from embedded.api.field_errors import forbidden, invalid, not_supported, required, too_long
from embedded.api.scheme import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    EVENTS,
    LEASES,
    NODES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    ResourceType,
)
from embedded.api.status_errors import FieldError
from embedded.types import JsonObject
from embedded.validation.events import validate_event
from embedded.validation.scheduling import validate_node

_RBAC_GROUP = "rbac.authorization.k8s.io"
_MAX_DATA_BYTES = 1 << 20
_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_IMMUTABLE = "field is immutable when `immutable` is set"
_REQUIRED_KEYS = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def set_defaults(resource: ResourceType, obj: JsonObject) -> None:
    """Set defaults, in place."""
    if resource is SECRETS:
        obj.setdefault("type", "Opaque")
        _encode_string_data(obj)
    elif resource in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
        if isinstance(obj.get("roleRef"), dict) and not obj["roleRef"].get("apiGroup"):
            obj["roleRef"]["apiGroup"] = _RBAC_GROUP
        for subject in obj.get("subjects") or []:
            if subject.get("kind") in ("User", "Group"):
                subject.setdefault("apiGroup", _RBAC_GROUP)


def validate(resource: ResourceType, obj: JsonObject, old: JsonObject | None = None) -> list[FieldError]:
    """Validate an object; `old` is its state before an update."""
    if resource is CONFIG_MAPS:
        return (_validate_config_map_update(old, obj) if old is not None else []) + _validate_config_map(obj)
    if resource is SECRETS:
        return (_validate_secret_update(old, obj) if old is not None else []) + _validate_secret(obj)
    if resource is LEASES:
        return _validate_lease(obj.get("spec") or {})
    if resource is NODES:
        return validate_node(obj)
    if resource is EVENTS:
        return validate_event(obj)
    if resource in (ROLES, CLUSTER_ROLES):
        return _validate_role(obj, namespaced=resource is ROLES)
    if resource in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
        errors = _validate_binding(obj, namespaced=resource is ROLE_BINDINGS)
        if old is not None and old.get("roleRef") != obj.get("roleRef"):
            errors.append(invalid("roleRef", obj.get("roleRef"), "cannot change roleRef"))
        return errors
    return []


def _encode_string_data(secret: JsonObject) -> None:
    """Merge the write-only stringData into data, over keys of the same name."""
    plain = secret.pop("stringData", None)
    if plain:
        data = secret.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(str(value).encode()).decode()


def _validate_data_keys(data: JsonObject, path: str) -> list[FieldError]:
    errors = []
    for key in sorted(data):
        field_path = f"{path}[{key}]"
        if len(key) > 253:
            errors.append(invalid(field_path, key, "must be no more than 253 characters"))
        elif not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
            errors.append(invalid(field_path, key, _KEY_RULE))
        elif key == ".":
            errors.append(invalid(field_path, key, "must not be '.'"))
        elif key == ".." or key.startswith(".."):
            errors.append(invalid(field_path, key, "must not be '..'" if key == ".." else "must not start with '..'"))
    return errors


def _validate_config_map(config: JsonObject) -> list[FieldError]:
    data, binary = config.get("data") or {}, config.get("binaryData") or {}
    errors = []
    for key in sorted(data):
        errors += _validate_data_keys({key: None}, "data")
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    errors += _validate_data_keys(binary, "binaryData")
    size = sum(len(str(value).encode("utf-8", "surrogatepass")) for value in data.values())
    if size + sum(len(str(value)) * 3 // 4 for value in binary.values()) > _MAX_DATA_BYTES:
        errors.append(too_long("", _MAX_DATA_BYTES))
    return errors


def _validate_config_map_update(old: JsonObject, new: JsonObject) -> list[FieldError]:
    if not old.get("immutable"):
        return []
    errors = [] if new.get("immutable") else [forbidden("immutable", _IMMUTABLE)]
    return errors + [
        forbidden(field, _IMMUTABLE) for field in ("data", "binaryData") if old.get(field) != new.get(field)
    ]


def _validate_secret(secret: JsonObject) -> list[FieldError]:
    data, kind = secret.get("data") or {}, secret["type"]
    errors = _validate_data_keys(data, "data")
    if sum(len(value or "") * 3 // 4 for value in data.values()) > _MAX_DATA_BYTES:
        errors.append(too_long("data", _MAX_DATA_BYTES))
    if kind == "kubernetes.io/service-account-token":
        annotation = "kubernetes.io/service-account.name"
        if not (secret["metadata"].get("annotations") or {}).get(annotation):
            errors.append(required(f"metadata.annotations[{annotation}]"))
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        errors += [required("data[username]"), required("data[password]")]
    for key in _REQUIRED_KEYS.get(kind, ()):
        if key not in data:
            errors.append(required(f"data[{key}]"))
        elif key.startswith(".") and not _is_json(data[key]):
            errors.append(invalid(f"data[{key}]", "<secret contents redacted>", "invalid character in JSON"))
    return errors


def _is_json(encoded: str) -> bool:
    try:
        json.loads(base64.b64decode(encoded))
    except ValueError:
        return False
    return True


def _validate_secret_update(old: JsonObject, new: JsonObject) -> list[FieldError]:
    errors = []
    if old["type"] != new["type"]:
        errors.append(invalid("type", new["type"], "field is immutable"))
    if old.get("immutable"):
        errors += [] if new.get("immutable") else [forbidden("immutable", _IMMUTABLE)]
        errors += [forbidden("data", _IMMUTABLE)] if old.get("data") != new.get("data") else []
    return errors


def _validate_lease(spec: JsonObject) -> list[FieldError]:
    errors = []
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        errors.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    if spec.get("holderIdentity") == "":
        errors.append(invalid("spec.holderIdentity", "", "must not be empty"))
    return errors


def _validate_role(role: JsonObject, *, namespaced: bool) -> list[FieldError]:
    errors = []
    for index, rule in enumerate(role.get("rules") or []):
        path = f"rules[{index}]"
        paths, resources = rule.get("nonResourceURLs"), rule.get("resources")
        if not rule.get("verbs"):
            errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
        if paths:
            if namespaced:
                detail = "namespaced rules cannot apply to non-resource URLs"
                errors.append(invalid(f"{path}.nonResourceURLs", paths, detail))
            if rule.get("apiGroups") or resources or rule.get("resourceNames"):
                detail = "rules cannot apply to both regular resources and non-resource URLs"
                errors.append(invalid(f"{path}.nonResourceURLs", paths, detail))
            continue
        if not rule.get("apiGroups"):
            errors.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
        if not resources:
            errors.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors


def _validate_binding(binding: JsonObject, *, namespaced: bool) -> list[FieldError]:
    role, kinds = binding.get("roleRef") or {}, ("ClusterRole", "Role") if namespaced else ("ClusterRole",)
    errors = []
    if role.get("apiGroup") != _RBAC_GROUP:
        errors.append(not_supported("roleRef.apiGroup", role.get("apiGroup") or "", (_RBAC_GROUP,)))
    if role.get("kind") not in kinds:
        errors.append(not_supported("roleRef.kind", role.get("kind") or "", kinds))
    if not role.get("name"):
        errors.append(required("roleRef.name"))
    for index, subject in enumerate(binding.get("subjects") or []):
        errors += _validate_subject(subject, f"subjects[{index}]", namespaced=namespaced)
    return errors


def _validate_subject(subject: JsonObject, path: str, *, namespaced: bool) -> list[FieldError]:
    """Validate a subject. In a namespaced binding, a service account without a namespace is in that of the binding."""
    errors = [] if subject.get("name") else [required(f"{path}.name")]
    kind, group = subject.get("kind") or "", subject.get("apiGroup") or ""
    if kind == "ServiceAccount":
        if group:
            errors.append(not_supported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            errors.append(required(f"{path}.namespace"))
    elif kind in ("User", "Group"):
        if group != _RBAC_GROUP:
            errors.append(not_supported(f"{path}.apiGroup", group, (_RBAC_GROUP,)))
    else:
        errors.append(not_supported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group")))
    return errors
