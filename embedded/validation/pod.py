"""What is wrong with a pod: Kubernetes' `pkg/apis/core/validation`, for the fields that have an effect here."""

from __future__ import annotations

import re
from typing import Any

from embedded.api.field_errors import duplicate, forbidden, invalid, not_found, not_supported, required
from embedded.api.names import SUBDOMAIN, SUBDOMAIN_RULE, label_problem
from embedded.api.quantity import parse_quantity
from embedded.api.status_errors import Cause

Json = dict[str, Any]

_POLICIES = ("Always", "OnFailure", "Never")
_PULL = ("Always", "IfNotPresent", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_MESSAGES = ("FallbackToLogsOnError", "File")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_SOURCES = "`configMapKeyRef`, `fieldRef`, `fileKeyRef`, `resourceFieldRef` or `secretKeyRef`"
_MOST = 2**31 - 1
_MAY_CHANGE = ("activeDeadlineSeconds", "tolerations")
_CHANGEABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_causes(pod: Json) -> list[Cause]:
    found = pod_spec_causes(pod["spec"])
    policy = pod["spec"].get("restartPolicy")
    if policy not in _POLICIES:
        found.append(not_supported("spec.restartPolicy", policy, _POLICIES))
    return found


def pod_spec_causes(spec: Json, at: str = "spec") -> list[Cause]:
    """What is wrong with a pod's spec, its restart policy aside."""
    volumes = spec.get("volumes") or []
    found = _volume_causes(volumes, f"{at}.volumes")
    known = {volume.get("name") for volume in volumes}
    if not spec.get("containers"):
        found.append(required(f"{at}.containers"))
    names: set[str] = set()
    for where in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(where) or []):
            field = f"{at}.{where}[{index}]"
            found += _name_causes(container.get("name"), f"{field}.name", names)
            found += _container_causes(container, field, known)
            policy = container.get("restartPolicy")
            if where == "initContainers" and policy is not None and policy not in _POLICIES:
                found.append(not_supported(f"{field}.restartPolicy", policy, _POLICIES))
    if spec.get("dnsPolicy") not in (*_DNS, None):
        found.append(not_supported(f"{at}.dnsPolicy", spec.get("dnsPolicy"), _DNS))
    deadline, grace = spec.get("activeDeadlineSeconds"), spec.get("terminationGracePeriodSeconds")
    if deadline is not None and not 1 <= deadline <= _MOST:
        found.append(invalid(f"{at}.activeDeadlineSeconds", deadline, f"must be between 1 and {_MOST}, inclusive"))
    if grace is not None and grace < 0:
        found.append(invalid(f"{at}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0"))
    account = spec.get("serviceAccountName")
    if account and not re.fullmatch(SUBDOMAIN, account):
        found.append(invalid(f"{at}.serviceAccountName", account, SUBDOMAIN_RULE))
    return found


def _name_causes(name: str | None, at: str, taken: set[str]) -> list[Cause]:
    if not name:
        return [required(at)]
    if why := label_problem(name):
        return [invalid(at, name, why)]
    if name in taken:
        return [duplicate(at, name)]
    taken.add(name)
    return []


def _volume_causes(volumes: list[Json], at: str) -> list[Cause]:
    found: list[Cause] = []
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        found += _name_causes(volume.get("name"), f"{at}[{index}].name", names)
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


def _container_causes(container: Json, at: str, volumes: set[Any]) -> list[Cause]:
    found: list[Cause] = []
    image = container.get("image")
    if not image:
        found.append(required(f"{at}.image"))
    elif image != image.strip():
        found.append(invalid(f"{at}.image", image, "must not have leading or trailing whitespace"))
    found += _port_causes(container.get("ports") or [], f"{at}.ports")
    found += _env_causes(container.get("env") or [], f"{at}.env")
    found += _mount_causes(container.get("volumeMounts") or [], f"{at}.volumeMounts", volumes)
    if container.get("imagePullPolicy") not in (*_PULL, None):
        found.append(not_supported(f"{at}.imagePullPolicy", container["imagePullPolicy"], _PULL))
    if container.get("terminationMessagePolicy") not in (*_MESSAGES, None):
        field = f"{at}.terminationMessagePolicy"
        found.append(not_supported(field, container["terminationMessagePolicy"], _MESSAGES))
    return found + _resource_causes(container.get("resources") or {}, f"{at}.resources")


def _port_causes(ports: list[Json], at: str) -> list[Cause]:
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


def _env_causes(variables: list[Json], at: str) -> list[Cause]:
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
            found.append(invalid(f"{at}[{index}].valueFrom", "", f"must specify one of: {_SOURCES}"))
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


def _mount_causes(mounts: list[Json], at: str, volumes: set[Any]) -> list[Cause]:
    found: list[Cause] = []
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


def _resource_causes(resources: Json, at: str) -> list[Cause]:
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


def pod_update_causes(old: Json, new: Json) -> list[Cause]:
    def fixed(pod: Json) -> Json:
        spec = {key: value for key, value in pod["spec"].items() if key not in _MAY_CHANGE}
        for where in ("containers", "initContainers"):
            spec[where] = [{**container, "image": ""} for container in spec.get(where) or []]
        return spec

    before, after = fixed(old), fixed(new)
    if before.get("terminationGracePeriodSeconds", 0) < 0 and after.get("terminationGracePeriodSeconds") == 1:
        del before["terminationGracePeriodSeconds"], after["terminationGracePeriodSeconds"]
    found = [forbidden("spec", _CHANGEABLE)] if before != after else []
    kept = new["spec"].get("tolerations") or []
    if any(toleration not in kept for toleration in old["spec"].get("tolerations") or []):
        why = "existing toleration can not be modified except its tolerationSeconds"
        found.append(forbidden("spec.tolerations", why))
    return found + _deadline_causes(old, new)


def _deadline_causes(old: Json, new: Json) -> list[Cause]:
    found: list[Cause] = []
    before, after = old["spec"].get("activeDeadlineSeconds"), new["spec"].get("activeDeadlineSeconds")
    field = "spec.activeDeadlineSeconds"
    if after is not None and not 1 <= after <= _MOST:
        found.append(invalid(field, after, f"must be between 1 and {_MOST}, inclusive"))
    elif before is not None and after is None:
        found.append(invalid(field, None, "must not update from a positive integer to nil value"))
    elif before is not None and after > before:
        found.append(invalid(field, after, "must be less than or equal to previous value"))
    return found
