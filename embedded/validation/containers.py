"""Validation of what a container of a pod has: ports, probes, hooks and resources, by `pkg/apis/core/validation`."""

from __future__ import annotations

import re

from embedded.api.field_errors import duplicate, forbidden, invalid, not_supported, required
from embedded.api.names import validate_qualified_name
from embedded.api.quantity import parse_quantity
from embedded.api.status_errors import FieldError
from embedded.types import JsonObject

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_SCHEMES = ("HTTP", "HTTPS")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage", "pods", "storage")
_CONTAINER_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_NOT_NEGATIVE = "must be greater than or equal to 0"
_NOT_FOR_INIT = "may not be set for init containers without restartPolicy=Always"


def validate_ports(ports: list[JsonObject], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        field, number, name = f"{path}[{index}]", port.get("containerPort"), port.get("name") or ""
        errors += [invalid(f"{field}.name", name, detail) for detail in _port_name_details(name)] if name else []
        if name and name in names:
            errors.append(duplicate(f"{field}.name", name))
        names.add(name)
        if not number:
            errors.append(required(f"{field}.containerPort"))
        elif not 1 <= number <= 65535:
            errors.append(invalid(f"{field}.containerPort", number, "must be between 1 and 65535, inclusive"))
        if (host_port := port.get("hostPort")) and not 1 <= host_port <= 65535:
            errors.append(invalid(f"{field}.hostPort", host_port, "must be between 1 and 65535, inclusive"))
        if port.get("protocol") not in (*_PROTOCOLS, None):
            errors.append(not_supported(f"{field}.protocol", port["protocol"], _PROTOCOLS))
    return errors


def _port_name_details(name: str) -> list[str]:
    details = ["must be no more than 15 characters"] if len(name) > 15 else []
    if not re.fullmatch(r"[-a-z0-9]+", name):
        details.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", name):
        details.append("must contain at least one letter (a-z)")
    if "--" in name:
        details.append("must not contain consecutive hyphens")
    return [*details, "must not begin or end with a hyphen"] if name.strip("-") != name else details


def validate_probes_and_hooks(container: JsonObject, path: str, *, is_init: bool) -> list[FieldError]:
    """Validate probes and lifecycle hooks; plain init containers have none."""
    errors: list[FieldError] = []
    if is_init and container.get("restartPolicy") != "Always":
        return [forbidden(f"{path}.{name}", _NOT_FOR_INIT) for name in ("lifecycle", *_PROBES) if container.get(name)]
    for name, hook in (container.get("lifecycle") or {}).items():
        if name in ("postStart", "preStop"):
            errors += _validate_handler(hook or {}, f"{path}.lifecycle.{name}")
    for name in _PROBES:
        probe, field = container.get(name), f"{path}.{name}"
        if probe is None:
            continue
        errors += _validate_handler(probe, field)
        errors += [
            invalid(f"{field}.{number}", probe[number], _NOT_NEGATIVE)
            for number in _PROBE_NUMBERS
            if (probe.get(number) or 0) < 0
        ]
        if name == "readinessProbe":
            if (grace := probe.get("terminationGracePeriodSeconds")) is not None:
                why = "must not be set for readinessProbes"
                errors.append(invalid(f"{field}.terminationGracePeriodSeconds", grace, why))
        elif probe.get("successThreshold", 1) != 1:
            errors.append(invalid(f"{field}.successThreshold", probe["successThreshold"], "must be 1"))
    return errors


def _validate_handler(handler: JsonObject, path: str) -> list[FieldError]:
    kinds = [kind for kind in _HANDLERS if handler.get(kind) is not None]
    if not kinds:
        return [required(path, "must specify a handler type")]
    errors = [forbidden(f"{path}.{kind}", "may not specify more than 1 handler type") for kind in kinds[1:]]
    action, field = handler[kinds[0]], f"{path}.{kinds[0]}"
    if kinds[0] == "exec" and not action.get("command"):
        errors.append(required(f"{field}.command"))
    if kinds[0] in ("httpGet", "tcpSocket"):
        errors += _validate_target_port(action.get("port"), f"{field}.port")
    if kinds[0] == "httpGet" and action.get("scheme") not in (*_SCHEMES, None):
        errors.append(not_supported(f"{field}.scheme", action["scheme"], _SCHEMES))
    return errors


def _validate_target_port(port: int | str | None, path: str) -> list[FieldError]:
    if isinstance(port, str):
        return [invalid(path, port, detail) for detail in _port_name_details(port)]
    if port is not None and 1 <= port <= 65535:
        return []
    return [invalid(path, port or 0, "must be between 1 and 65535, inclusive")]


def validate_resources(resources: JsonObject, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for side, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            field = f"{path}.{side}"
            errors += [invalid(field, name, detail) for detail in _resource_name_details(name)]
            if parse_quantity(amount) < 0:
                errors.append(invalid(f"{field}[{name}]", amount, _NOT_NEGATIVE))
    for name, amount in requests.items():
        if name in limits and parse_quantity(amount) > parse_quantity(limits[name]):
            detail = f"must be less than or equal to {name} limit of {limits[name]}"
            errors.append(invalid(f"{path}.requests", amount, detail))
        elif "/" in name and name not in limits:
            errors.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
    return errors


def _resource_name_details(name: str) -> list[str]:
    if detail := validate_qualified_name(name):
        return [detail]
    if "/" in name or name.startswith("hugepages-"):
        return []
    details = [] if name in _STANDARD_RESOURCES else ["must be a standard resource type or fully qualified"]
    return details if name in _CONTAINER_RESOURCES else [*details, "must be a standard resource for containers"]
