"""The Node object of this machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embedded.api.scheme import NODES, SERVER_VERSION, ObjectRef, go_architecture
from embedded.kubelet.config.downward_api import LOOPBACK
from embedded.kubelet.runtime.interface import Runtime
from embedded.registry.registry import Registry
from embedded.types import JsonObject

Json = dict[str, Any]

NODE_NAME = "embedded"


def labels() -> dict[str, str]:
    """The labels that a kubelet gives its node."""
    system, architecture = platform.system().lower(), go_architecture(platform.machine())
    return {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": system,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": NODE_NAME,
        "kubernetes.io/os": system,
    }


@dataclass(frozen=True)
class SchedulingState:
    """What of the Node object decides which pods it accepts."""

    labels: Mapping[str, str]
    cordoned: bool = False
    """Whether `spec.unschedulable` is set, as by `kubectl cordon`."""
    taints: Sequence[JsonObject] = ()
    name: str = NODE_NAME


def scheduling_state(registry: Registry) -> SchedulingState | None:
    """That of the Node object; None if it was deleted."""
    found = registry.find(ObjectRef(NODES, None, NODE_NAME))
    if found is None:
        return None
    spec = found.get("spec") or {}
    labels = found["metadata"].get("labels") or {}
    return SchedulingState(labels, bool(spec.get("unschedulable")), spec.get("taints") or ())


def register_node(registry: Registry, max_pods: int, runtime: Runtime) -> None:
    """Create or update the Node object; its condition `LimitsEnforced` says whether limits have an effect."""
    found = registry.find(ObjectRef(NODES, None, NODE_NAME))
    if found is None:
        registry.create(NODES, {"metadata": {"name": NODE_NAME, "labels": labels()}, "spec": {}})
    elif not labels().items() <= (present := found["metadata"].get("labels") or {}).items():
        metadata = {**found["metadata"], "labels": {**present, **labels()}}
        registry.update(ObjectRef(NODES, None, NODE_NAME), {**found, "metadata": metadata})
    memory = f"{int(runtime.capacity['memory']) // 1024}Ki"
    resources = {"cpu": str(runtime.capacity["cpu"]), "pods": str(max_pods), "memory": memory}
    now = registry.now()
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady" if runtime.uses_images else "ProcessRunnerReady",
        "message": f"containers run in their images in {runtime.version}"
        if runtime.uses_images
        else "pods run as processes of this machine, and images are not used",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
    limits = {
        "type": "LimitsEnforced",
        "status": "True" if runtime.enforces_limits else "False",
        "reason": "CgroupsAvailable" if runtime.enforces_limits else "NoCgroups",
        "message": runtime.limits_reason
        if runtime.enforces_limits
        else f"cpu and memory limits have no effect: {runtime.limits_reason}",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
    info = {
        "containerRuntimeVersion": runtime.version,
        "kubeletVersion": SERVER_VERSION["gitVersion"],
        "kubeProxyVersion": "",
        "kernelVersion": platform.release(),
        "operatingSystem": platform.system().lower(),
        "architecture": go_architecture(platform.machine()),
        "osImage": platform.platform(),
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
    }
    status: Json = {
        "capacity": resources,
        "allocatable": resources,
        "conditions": [*_pressure_conditions(now), limits, ready],
        "addresses": [{"type": "InternalIP", "address": LOOPBACK}, {"type": "Hostname", "address": NODE_NAME}],
        "nodeInfo": info,
    }
    registry.update(ObjectRef(NODES, None, NODE_NAME), {"metadata": {}, "status": status}, subresource="status")


def _pressure_conditions(now: str) -> list[JsonObject]:
    """The conditions of a node that has enough of everything; nothing here measures that."""
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    enough = {"Memory": "sufficient memory available", "Disk": "no disk pressure", "PID": "sufficient PID available"}
    return [
        {
            "type": f"{what}Pressure",
            "status": "False",
            "reason": f"KubeletHas{'NoDiskPressure' if what == 'Disk' else f'Sufficient{what}'}",
            "message": f"kubelet has {text}",
            **times,
        }
        for what, text in enough.items()
    ]
