"""The one node: what it is, and that a container's image means nothing on it."""

from __future__ import annotations

import os
import platform
from typing import Any

from embedded.machinery.registry import Registry
from embedded.machinery.resources import NODES, SERVER_VERSION

Json = dict[str, Any]

NAME = "embedded"
RUNTIME = "process://0.1"


def register(registry: Registry, max_pods: int) -> None:
    """Write the Node object."""
    labels = {
        "kubernetes.io/hostname": NAME,
        "kubernetes.io/os": platform.system().lower(),
        "kubernetes.io/arch": platform.machine(),
    }
    if registry.find(NODES, None, NAME) is None:
        registry.create(NODES, {"metadata": {"name": NAME, "labels": labels}, "spec": {}})
    capacity = {"cpu": str(os.cpu_count() or 1), "pods": str(max_pods), "memory": f"{_memory_kib()}Ki"}
    now = registry.now()
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "ProcessRunnerReady",
        "message": "pods run as processes of this machine; images, cpu and memory limits have no effect",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
    info = {
        "containerRuntimeVersion": RUNTIME,
        "kubeletVersion": SERVER_VERSION["gitVersion"],
        "kubeProxyVersion": "",
        "kernelVersion": platform.release(),
        "operatingSystem": platform.system().lower(),
        "architecture": platform.machine(),
        "osImage": platform.platform(),
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
    }
    status: Json = {"capacity": capacity, "allocatable": capacity, "conditions": [ready], "nodeInfo": info}
    registry.update(NODES, {"metadata": {}, "status": status}, namespace=None, name=NAME, subresource="status")


def _memory_kib() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024
    except (ValueError, OSError):
        return 0
