"""The node describes this machine by the names that Kubernetes uses."""

from __future__ import annotations

import platform

import pytest

from embedded.api.scheme import NODES, SERVER_VERSION, ObjectRef, go_architecture
from embedded.kubelet import node
from embedded.kubelet.runtime.process.runtime import ProcessRuntime
from embedded.registry.registry import Registry


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [("x86_64", "amd64"), ("AMD64", "amd64"), ("aarch64", "arm64"), ("arm64", "arm64"), ("s390x", "s390x")],
)
def test_machines_are_named_as_go_names_them(machine: str, architecture: str) -> None:
    assert go_architecture(machine) == architecture


def test_node_and_version_name_the_architecture(registry: Registry) -> None:
    architecture = go_architecture(platform.machine())
    node.register_node(registry, 10, ProcessRuntime({}, "none"))
    found = registry.get(ObjectRef(NODES, None, node.NODE_NAME))
    assert found["metadata"]["labels"]["kubernetes.io/arch"] == architecture
    assert found["status"]["nodeInfo"]["architecture"] == architecture
    assert SERVER_VERSION["platform"].endswith(f"/{architecture}")


def test_labels_of_an_older_node_are_renewed(registry: Registry) -> None:
    labels = {"kubernetes.io/arch": "x86_64", "disk": "ssd"}
    registry.create(NODES, {"metadata": {"name": node.NODE_NAME, "labels": labels}, "spec": {"unschedulable": True}})
    node.register_node(registry, 10, ProcessRuntime({}, "none"))
    found = registry.get(ObjectRef(NODES, None, node.NODE_NAME))
    assert found["metadata"]["labels"] == {**node.labels(), "disk": "ssd"}
    assert found["spec"]["unschedulable"] is True
