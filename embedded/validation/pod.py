"""What is wrong with a pod: Kubernetes' `pkg/apis/core/validation`, for the fields that have an effect here."""

from __future__ import annotations

import re
from typing import Any

from embedded.api.field_errors import duplicate, forbidden, invalid, not_found, not_supported, required
from embedded.api.names import SUBDOMAIN, SUBDOMAIN_RULE, validate_dns1123_label
from embedded.api.quantity import parse_quantity
from embedded.api.status_errors import FieldError
from embedded.types import JsonObject

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_TERMINATION_MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_ENV_SOURCES = "`configMapKeyRef`, `fieldRef`, `fileKeyRef`, `resourceFieldRef` or `secretKeyRef`"
_MAX_INT32 = 2**31 - 1
_MUTABLE_FIELDS = ("activeDeadlineSeconds", "tolerations")
_UPDATE_RULE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate_pod(pod: JsonObject) -> list[FieldError]:
    found = validate_pod_spec(pod["spec"])
    policy = pod["spec"].get("restartPolicy")
    if policy not in _RESTART_POLICIES:
        found.append(not_supported("spec.restartPolicy", policy, _RESTART_POLICIES))
    return found


def validate_pod_spec(spec: JsonObject, at: str = "spec") -> list[FieldError]:
    """What is wrong with a pod's spec, its restart policy aside."""
    volumes = spec.get("volumes") or []
    found = _validate_volumes(volumes, f"{at}.volumes")
    known = {volume.get("name") for volume in volumes}
    if not spec.get("containers"):
        found.append(required(f"{at}.containers"))
    names: set[str] = set()
    for where in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(where) or []):
            field = f"{at}.{where}[{index}]"
            found += _validate_name(container.get("name"), f"{field}.name", names)
            found += _validate_container(container, field, known)
            policy = container.get("restartPolicy")
            if where == "initContainers" and policy is not None and policy not in _RESTART_POLICIES:
                found.append(not_supported(f"{field}.restartPolicy", policy, _RESTART_POLICIES))
    if spec.get("dnsPolicy") not in (*_DNS_POLICIES, None):
        found.append(not_supported(f"{at}.dnsPolicy", spec.get("dnsPolicy"), _DNS_POLICIES))
    deadline, grace = spec.get("activeDeadlineSeconds"), spec.get("terminationGracePeriodSeconds")
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        found.append(invalid(f"{at}.activeDeadlineSeconds", deadline, f"must be between 1 and {_MAX_INT32}, inclusive"))
    if grace is not None and grace < 0:
        found.append(invalid(f"{at}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0"))
    account = spec.get("serviceAccountName")
    if account and not re.fullmatch(SUBDOMAIN, account):
        found.append(invalid(f"{at}.serviceAccountName", account, SUBDOMAIN_RULE))
    return found


def _validate_name(name: str | None, at: str, taken: set[str]) -> list[FieldError]:
    if not name:
        return [required(at)]
    if why := validate_dns1123_label(name):
        return [invalid(at, name, why)]
    if name in taken:
        return [duplicate(at, name)]
    taken.add(name)
    return []


def _validate_volumes(volumes: list[JsonObject], at: str) -> list[FieldError]:
    found: list[FieldError] = []
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        found += _validate_name(volume.get("name"), f"{at}[{index}].name", names)
        sources = [name for name in volume if name != "name"]
        for more in sources[1:]:
            found.append(forbidden(f"{at}[{index}].{more}", "may not specify more than 1 volume type"))
        where = f"{at}[{index}]"
        if "secret" in volume and not volume["secret"].get("secretName"):
            found.append(required(f"{where}.secret.secretName"))
        if "configMap" in volume and not volume["configMap"].get("name"):
            found.append(required(f"{where}.configMap.name"))
        if "hostPath" in volume and not volume["hostPath"].get("path"):
            found.append(required(f"{where}.hostPath.path"))
    return found


def _validate_container(container: JsonObject, at: str, volumes: set[Any]) -> list[FieldError]:
    found: list[FieldError] = []
    image = container.get("image")
    if not image:
        found.append(required(f"{at}.image"))
    elif image != image.strip():
        found.append(invalid(f"{at}.image", image, "must not have leading or trailing whitespace"))
    found += _validate_ports(container.get("ports") or [], f"{at}.ports")
    found += _validate_env(container.get("env") or [], f"{at}.env")
    found += _validate_volume_mounts(container.get("volumeMounts") or [], f"{at}.volumeMounts", volumes)
    if container.get("imagePullPolicy") not in (*_PULL_POLICIES, None):
        found.append(not_supported(f"{at}.imagePullPolicy", container["imagePullPolicy"], _PULL_POLICIES))
    if container.get("terminationMessagePolicy") not in (*_TERMINATION_MESSAGE_POLICIES, None):
        field = f"{at}.terminationMessagePolicy"
        found.append(not_supported(field, container["terminationMessagePolicy"], _TERMINATION_MESSAGE_POLICIES))
    return found + _validate_resources(container.get("resources") or {}, f"{at}.resources")


def _validate_ports(ports: list[JsonObject], at: str) -> list[FieldError]:
    found = []
    for index, port in enumerate(ports):
        number = port.get("containerPort")
        if not number:
            found.append(required(f"{at}[{index}].containerPort"))
        elif not 1 <= number <= 65535:
            found.append(invalid(f"{at}[{index}].containerPort", number, "must be between 1 and 65535, inclusive"))
        if port.get("protocol") not in (*_PROTOCOLS, None):
            found.append(not_supported(f"{at}[{index}].protocol", port["protocol"], _PROTOCOLS))
    return found


def _validate_env(variables: list[JsonObject], at: str) -> list[FieldError]:
    found = []
    for index, variable in enumerate(variables):
        name, source = variable.get("name"), variable.get("valueFrom")
        if not name:
            found.append(required(f"{at}[{index}].name"))
        elif "=" in name or not (name.isascii() and name.isprintable()):
            why = "a valid environment variable name must consist only of printable ASCII characters other than '='"
            found.append(invalid(f"{at}[{index}].name", name, why))
        if source is None:
            continue
        if variable.get("value"):
            found.append(invalid(f"{at}[{index}].valueFrom", "", "may not be specified when `value` is not empty"))
        if not source:
            found.append(invalid(f"{at}[{index}].valueFrom", "", f"must specify one of: {_ENV_SOURCES}"))
        elif len(source) > 1:
            why = "may not have more than one field specified at a time"
            found.append(invalid(f"{at}[{index}].valueFrom", "", why))
        for kind in ("configMapKeyRef", "secretKeyRef"):
            if isinstance(reference := source.get(kind), dict):
                missing = [field for field in ("name", "key") if not reference.get(field)]
                found += [required(f"{at}[{index}].valueFrom.{kind}.{field}") for field in missing]
        if isinstance(reference := source.get("fieldRef"), dict) and not reference.get("fieldPath"):
            found.append(required(f"{at}[{index}].valueFrom.fieldRef.fieldPath"))
    return found


def _validate_volume_mounts(mounts: list[JsonObject], at: str, volumes: set[Any]) -> list[FieldError]:
    found: list[FieldError] = []
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        name, path = mount.get("name"), mount.get("mountPath")
        if not name:
            found.append(required(f"{at}[{index}].name"))
        if name not in volumes:
            found.append(not_found(f"{at}[{index}].name", name or ""))
        if not path:
            found.append(required(f"{at}[{index}].mountPath"))
        elif path in paths:
            found.append(invalid(f"{at}[{index}].mountPath", path, "must be unique"))
        paths.add(path or "")
    return found


def _validate_resources(resources: JsonObject, at: str) -> list[FieldError]:
    found = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for where, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if parse_quantity(amount) < 0:
                found.append(invalid(f"{at}.{where}[{name}]", amount, "must be greater than or equal to 0"))
    for name, amount in requests.items():
        if name in limits and parse_quantity(amount) > parse_quantity(limits[name]):
            why = f"must be less than or equal to {name} limit of {limits[name]}"
            found.append(invalid(f"{at}.requests", amount, why))
    return found


def validate_pod_update(old: JsonObject, new: JsonObject) -> list[FieldError]:
    def fixed(pod: JsonObject) -> JsonObject:
        spec = {key: value for key, value in pod["spec"].items() if key not in _MUTABLE_FIELDS}
        for where in ("containers", "initContainers"):
            spec[where] = [{**container, "image": ""} for container in spec.get(where) or []]
        return spec

    before, after = fixed(old), fixed(new)
    if before.get("terminationGracePeriodSeconds", 0) < 0 and after.get("terminationGracePeriodSeconds") == 1:
        del before["terminationGracePeriodSeconds"], after["terminationGracePeriodSeconds"]
    found = [forbidden("spec", _UPDATE_RULE)] if before != after else []
    kept = new["spec"].get("tolerations") or []
    if any(toleration not in kept for toleration in old["spec"].get("tolerations") or []):
        why = "existing toleration can not be modified except its tolerationSeconds"
        found.append(forbidden("spec.tolerations", why))
    return found + _validate_deadline_update(old, new)


def _validate_deadline_update(old: JsonObject, new: JsonObject) -> list[FieldError]:
    found: list[FieldError] = []
    before, after = old["spec"].get("activeDeadlineSeconds"), new["spec"].get("activeDeadlineSeconds")
    field = "spec.activeDeadlineSeconds"
    if after is not None and not 1 <= after <= _MAX_INT32:
        found.append(invalid(field, after, f"must be between 1 and {_MAX_INT32}, inclusive"))
    elif before is not None and after is None:
        found.append(invalid(field, None, "must not update from a positive integer to nil value"))
    elif before is not None and after > before:
        found.append(invalid(field, after, "must be less than or equal to previous value"))
    return found
