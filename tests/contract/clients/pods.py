"""The manifests that all clients send."""

from __future__ import annotations

from typing import Any

SLEEPING = "trap 'exit 0' TERM; while true; do sleep 0.1; done"
"""A script that runs until it is terminated."""


def pod_manifest(name: str, script: str = SLEEPING, **spec: Any) -> dict[str, Any]:
    """A pod whose container `main` runs a shell script; `spec` is merged into the pod's spec."""
    container = {"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", script]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            **spec,
        },
    }


def config_map_manifest(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def definition_manifest(plural: str, kind: str, group: str) -> dict[str, Any]:
    """A CustomResourceDefinition with a free spec and a status subresource."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": free, "status": free}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    names = {"plural": plural, "singular": kind.lower(), "kind": kind}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
