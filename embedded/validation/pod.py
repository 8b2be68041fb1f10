"""Validation of pods by the rules of `pkg/apis/core/validation`, for the fields that have an effect here."""

from __future__ import annotations

import re
from typing import Any

from embedded.api.field_errors import duplicate, forbidden, invalid, not_found, not_supported, required
from embedded.api.names import SUBDOMAIN, SUBDOMAIN_RULE, validate_dns1123_label
from embedded.api.status_errors import FieldError
from embedded.types import JsonObject
from embedded.validation.containers import validate_ports, validate_probes_and_hooks, validate_resources
from embedded.validation.scheduling import validate_pod_scheduling

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_TERMINATION_MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
_ENV_SOURCES = "`configMapKeyRef`, `fieldRef`, `fileKeyRef`, `resourceFieldRef` or `secretKeyRef`"
_MAX_INT32 = 2**31 - 1
_DEADLINE_RULE = f"must be between 1 and {_MAX_INT32}, inclusive"
_MUTABLE_FIELDS = ("activeDeadlineSeconds", "tolerations", "schedulingGates")
_UPDATE_RULE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate_pod(pod: JsonObject) -> list[FieldError]:
    errors = validate_pod_spec(pod["spec"])
    policy = pod["spec"].get("restartPolicy")
    if policy not in _RESTART_POLICIES:
        errors.append(not_supported("spec.restartPolicy", policy, _RESTART_POLICIES))
    if pod["spec"].get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if pod["spec"].get("nodeName") and pod["spec"].get("schedulingGates"):
        errors.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return errors


def validate_pod_spec(spec: JsonObject, path: str = "spec") -> list[FieldError]:
    """Validate the spec of a pod without its restart policy."""
    volumes = spec.get("volumes") or []
    errors = _validate_volumes(volumes, f"{path}.volumes")
    known = {volume.get("name") for volume in volumes}
    if not spec.get("containers"):
        errors.append(required(f"{path}.containers"))
    names: set[str] = set()
    for list_name in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(list_name) or []):
            field = f"{path}.{list_name}[{index}]"
            errors += _validate_name(container.get("name"), f"{field}.name", names)
            errors += _validate_container(container, field, known, is_init=list_name == "initContainers")
            policy = container.get("restartPolicy")
            if list_name == "initContainers" and policy is not None and policy not in _RESTART_POLICIES:
                errors.append(not_supported(f"{field}.restartPolicy", policy, _RESTART_POLICIES))
    if spec.get("dnsPolicy") not in (*_DNS_POLICIES, None):
        errors.append(not_supported(f"{path}.dnsPolicy", spec.get("dnsPolicy"), _DNS_POLICIES))
    deadline, grace = spec.get("activeDeadlineSeconds"), spec.get("terminationGracePeriodSeconds")
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        errors.append(
            invalid(f"{path}.activeDeadlineSeconds", deadline, f"must be between 1 and {_MAX_INT32}, inclusive")
        )
    if grace is not None and grace < 0:
        errors.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0"))
    account = spec.get("serviceAccountName")
    if account and not re.fullmatch(SUBDOMAIN, account):
        errors.append(invalid(f"{path}.serviceAccountName", account, SUBDOMAIN_RULE))
    for name in ("hostname", "subdomain"):
        if (value := spec.get(name)) and (detail := validate_dns1123_label(value)):
            errors.append(invalid(f"{path}.{name}", value, detail))
    if spec.get("dnsPolicy") == "None" and not spec.get("dnsConfig"):
        errors.append(required(f"{path}.dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None"))
    return errors + validate_pod_scheduling(spec, path)


def _validate_name(name: str | None, path: str, taken: set[str]) -> list[FieldError]:
    if not name:
        return [required(path)]
    if detail := validate_dns1123_label(name):
        return [invalid(path, name, detail)]
    if name in taken:
        return [duplicate(path, name)]
    taken.add(name)
    return []


def _validate_volumes(volumes: list[JsonObject], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        errors += _validate_name(volume.get("name"), f"{path}[{index}].name", names)
        sources = [name for name in volume if name != "name"]
        for additional in sources[1:]:
            errors.append(forbidden(f"{path}[{index}].{additional}", "may not specify more than 1 volume type"))
        field_path = f"{path}[{index}]"
        for kind in ("secret", "configMap", "downwardAPI"):
            items = (volume.get(kind) or {}).get("items") or []
            errors += _validate_items(items, f"{field_path}.{kind}.items", has_key=kind != "downwardAPI")
        if "secret" in volume and not volume["secret"].get("secretName"):
            errors.append(required(f"{field_path}.secret.secretName"))
        if "configMap" in volume and not volume["configMap"].get("name"):
            errors.append(required(f"{field_path}.configMap.name"))
        if "hostPath" in volume and not volume["hostPath"].get("path"):
            errors.append(required(f"{field_path}.hostPath.path"))
    return errors


def _validate_items(items: list[JsonObject], path: str, *, has_key: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, item in enumerate(items):
        target, field = item.get("path") or "", f"{path}[{index}].path"
        if has_key and not item.get("key"):
            errors.append(required(f"{path}[{index}].key"))
        if not target:
            errors.append(required(field))
        if target.startswith("/"):
            errors.append(invalid(field, target, "must be a relative path"))
        if ".." in target.split("/"):
            errors.append(invalid(field, target, "must not contain '..'"))
        if target.startswith("..") and not target.startswith("../"):
            errors.append(invalid(field, target, "must not start with '..'"))
    return errors


def _validate_container(container: JsonObject, path: str, volumes: set[Any], *, is_init: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    image = container.get("image")
    if not image:
        errors.append(required(f"{path}.image"))
    elif image != image.strip():
        errors.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    errors += validate_ports(container.get("ports") or [], f"{path}.ports")
    errors += validate_probes_and_hooks(container, path, is_init=is_init)
    errors += _validate_env(container.get("env") or [], f"{path}.env")
    errors += _validate_volume_mounts(container.get("volumeMounts") or [], f"{path}.volumeMounts", volumes)
    if container.get("imagePullPolicy") not in (*_PULL_POLICIES, None):
        errors.append(not_supported(f"{path}.imagePullPolicy", container["imagePullPolicy"], _PULL_POLICIES))
    if container.get("terminationMessagePolicy") not in (*_TERMINATION_MESSAGE_POLICIES, None):
        field = f"{path}.terminationMessagePolicy"
        errors.append(not_supported(field, container["terminationMessagePolicy"], _TERMINATION_MESSAGE_POLICIES))
    return errors + validate_resources(container.get("resources") or {}, f"{path}.resources")


def _validate_env(variables: list[JsonObject], path: str) -> list[FieldError]:
    errors = []
    for index, variable in enumerate(variables):
        name, source = variable.get("name"), variable.get("valueFrom")
        if not name:
            errors.append(required(f"{path}[{index}].name"))
        elif "=" in name or not (name.isascii() and name.isprintable()):
            detail = "a valid environment variable name must consist only of printable ASCII characters other than '='"
            errors.append(invalid(f"{path}[{index}].name", name, detail))
        if source is None:
            continue
        if variable.get("value"):
            errors.append(invalid(f"{path}[{index}].valueFrom", "", "may not be specified when `value` is not empty"))
        if not source:
            errors.append(invalid(f"{path}[{index}].valueFrom", "", f"must specify one of: {_ENV_SOURCES}"))
        elif len(source) > 1:
            detail = "may not have more than one field specified at a time"
            errors.append(invalid(f"{path}[{index}].valueFrom", "", detail))
        for kind in ("configMapKeyRef", "secretKeyRef"):
            if isinstance(reference := source.get(kind), dict):
                missing = [field for field in ("name", "key") if not reference.get(field)]
                errors += [required(f"{path}[{index}].valueFrom.{kind}.{field}") for field in missing]
        if isinstance(reference := source.get("fieldRef"), dict) and not reference.get("fieldPath"):
            errors.append(required(f"{path}[{index}].valueFrom.fieldRef.fieldPath"))
    return errors


def _validate_volume_mounts(mounts: list[JsonObject], at: str, volumes: set[Any]) -> list[FieldError]:
    errors: list[FieldError] = []
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        name, path = mount.get("name"), mount.get("mountPath")
        if not name:
            errors.append(required(f"{at}[{index}].name"))
        if name not in volumes:
            errors.append(not_found(f"{at}[{index}].name", name or ""))
        if not path:
            errors.append(required(f"{at}[{index}].mountPath"))
        elif path in paths:
            errors.append(invalid(f"{at}[{index}].mountPath", path, "must be unique"))
        paths.add(path or "")
    return errors


def validate_pod_update(old: JsonObject, new: JsonObject) -> list[FieldError]:
    def fixed(pod: JsonObject) -> JsonObject:
        spec = {key: value for key, value in pod["spec"].items() if key not in _MUTABLE_FIELDS}
        for field_path in ("containers", "initContainers"):
            spec[field_path] = [{**container, "image": ""} for container in spec.get(field_path) or []]
        return spec

    before, after = fixed(old), fixed(new)
    if before.get("terminationGracePeriodSeconds", 0) < 0 and after.get("terminationGracePeriodSeconds") == 1:
        del before["terminationGracePeriodSeconds"], after["terminationGracePeriodSeconds"]
    errors = [forbidden("spec", _UPDATE_RULE)] if before != after else []
    kept = new["spec"].get("tolerations") or []
    if any(toleration not in kept for toleration in old["spec"].get("tolerations") or []):
        detail = "existing toleration can not be modified except its tolerationSeconds"
        errors.append(forbidden("spec.tolerations", detail))
    known = old["spec"].get("schedulingGates") or []
    for gate in new["spec"].get("schedulingGates") or []:
        if gate not in known:
            detail = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            errors.append(forbidden("spec.schedulingGates", detail))
    return errors + _validate_deadline_update(old, new)


def _validate_deadline_update(old: JsonObject, new: JsonObject) -> list[FieldError]:
    errors: list[FieldError] = []
    before, after = old["spec"].get("activeDeadlineSeconds"), new["spec"].get("activeDeadlineSeconds")
    field = "spec.activeDeadlineSeconds"
    if after is not None and not 1 <= after <= _MAX_INT32:
        errors.append(invalid(field, after, _DEADLINE_RULE))
    elif before is not None and after is None:
        errors.append(invalid(field, None, "must not update from a positive integer to nil value"))
    elif before is not None and after > before:
        errors.append(invalid(field, after, "must be less than or equal to previous value"))
    return errors
