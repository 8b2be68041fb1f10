"""Services of a step: native sidecars that start before it and are stopped after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from controller.operator import names
from controller.operator.workload import entrypoint
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Service
from controller.pipeline.shell import fill_commands
from controller.pipeline.variables import render

if TYPE_CHECKING:
    from controller.run_types.objects import RuntimeInfo

Json = dict[str, Any]

CONTAINER_PREFIX = "svc-"
MAX_RESTARTS = 3
"""Restarts of a service that does not become ready, after which its step fails."""
_PROBE_PERIOD, _PROBE_ATTEMPTS = 1, 120


def containers(step: ExpandedStep, values: Mapping[str, str], security: Json) -> list[Json]:
    """The sidecars of a step's pod. `values`: the values of template variables."""
    return [_container(service, values, step.matrix, security) for service in step.step.services]


def _container(service: Service, values: Mapping[str, str], matrix: Mapping[str, str], security: Json) -> Json:
    container: Json = {
        "name": f"{CONTAINER_PREFIX}{service.name}",
        "image": render(service.image, values),
        "restartPolicy": "Always",
        "env": [
            {"name": key, "value": entrypoint.escape_expansion(render(value, values))}
            for key, value in service.env.items()
        ],
        "volumeMounts": [{"name": "workspace", "mountPath": names.WORKSPACE}],
        "securityContext": security,
    }
    if service.commands:
        commands = fill_commands(service.commands, matrix)
        container |= {"command": entrypoint.build_command(commands), "workingDir": names.WORKSPACE}
    probe = _probe(service)
    if probe:
        # Readiness gates nothing: the step's container waits for what has started.
        container["startupProbe"] = probe
    return container


def _probe(service: Service) -> Json | None:
    if service.ready is None:
        return None
    check: Json = (
        {"exec": {"command": [entrypoint.escape_expansion(word) for word in service.ready.exec]}}
        if service.ready.exec
        else {"tcpSocket": {"port": service.ready.port}}
    )
    return {**check, "periodSeconds": _PROBE_PERIOD, "failureThreshold": _PROBE_ATTEMPTS, "timeoutSeconds": 5}


def unsupported_reason(step: ExpandedStep, runtime: RuntimeInfo | None) -> str | None:
    """Why a step's services can't run where images are ignored; None when they can."""
    if runtime is None or runtime["images"] != "ignored":
        return None
    for service in step.step.services:
        if not service.commands:
            return (
                f"the service {service.name} has no commands, and images are ignored here: "
                "give it commands, or run the pipeline on a cluster"
            )
    return None


def startup_failure(pod: Json) -> tuple[str, bool] | None:
    """(why a service of the pod has not started, as a sentence; whether the step fails because of it), or None."""
    for status in (pod.get("status") or {}).get("initContainerStatuses") or []:
        name = str(status.get("name", ""))
        if not name.startswith(CONTAINER_PREFIX) or status.get("started"):
            continue
        service, restarts = name.removeprefix(CONTAINER_PREFIX), int(status.get("restartCount") or 0)
        ended = (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated")
        if ended is not None:
            how = f"exit code {ended.get('exitCode')}"
            return f"the service {service} does not start: {how}; its log says more", restarts >= MAX_RESTARTS
        if "running" in (status.get("state") or {}):
            return f"waits for the service {service} to be ready", False
    return None
