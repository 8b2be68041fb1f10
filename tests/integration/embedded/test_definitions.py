"""Deletion and versions of custom resource definitions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from embedded.api.scheme import CUSTOM_RESOURCE_DEFINITIONS, ObjectRef
from embedded.api.status_errors import ApiError
from tests.integration.embedded.conftest import Cluster
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.process_only("about objects, not about containers")

_NAME = "boxes.example.com"


def _definition() -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [
        {"name": name, "served": True, "storage": name == "v1", "schema": schema}
        for name in ("v1alpha1", "v1", "v1beta2")
    ]
    names = {"plural": "boxes", "kind": "Box"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions}
    return {"metadata": {"name": _NAME}, "spec": spec}


async def test_a_definition_waits_for_finalizers_of_its_objects(cluster: Cluster) -> None:
    registry = cluster.registry
    registry.create(CUSTOM_RESOURCE_DEFINITIONS, _definition())
    boxes = registry.scheme.find("example.com", "v1", "boxes")
    assert boxes is not None
    for name, finalizers in (("held", ["example.com/hold"]), ("free", [])):
        registry.create(boxes, {"metadata": {"name": name, "finalizers": finalizers}}, namespace="default")
    registry.delete(ObjectRef(CUSTOM_RESOURCE_DEFINITIONS, None, _NAME))
    await cluster.wait_until_deleted("free", boxes)
    held = await cluster.wait_for(lambda box: "deletionTimestamp" in box["metadata"], "held", boxes)
    assert "deletionTimestamp" in registry.get(ObjectRef(CUSTOM_RESOURCE_DEFINITIONS, None, _NAME))["metadata"]
    terminating = registry.scheme.find("example.com", "v1", "boxes")
    assert terminating is not None
    with pytest.raises(ApiError) as raised:
        registry.create(terminating, {"metadata": {"name": "late"}}, namespace="default")
    assert raised.value.code == 405
    registry.patch(ObjectRef(boxes, "default", held["metadata"]["name"]), {"metadata": {"finalizers": None}})
    definition = ObjectRef(CUSTOM_RESOURCE_DEFINITIONS, None, _NAME)
    await wait_until_async(lambda: registry.find(definition) is None)
    assert registry.scheme.find("example.com", "v1", "boxes") is None


async def test_all_versions_serve_the_same_objects(cluster: Cluster) -> None:
    registry = cluster.registry
    registry.create(CUSTOM_RESOURCE_DEFINITIONS, _definition())
    old, new = (registry.scheme.find("example.com", version, "boxes") for version in ("v1alpha1", "v1"))
    assert old is not None
    assert new is not None
    registry.create(old, {"metadata": {"name": "b"}, "size": 1}, namespace="default")
    assert json.loads(registry.get_bytes(ObjectRef(new, "default", "b")))["apiVersion"] == "example.com/v1"
    changed = registry.patch(ObjectRef(new, "default", "b"), {"size": 2}).object
    assert (changed["apiVersion"], changed["metadata"]["generation"]) == ("example.com/v1", 2)
    assert json.loads(registry.get_bytes(ObjectRef(old, "default", "b")))["size"] == 2
    assert registry.scheme.group_versions()["example.com"] == ["v1", "v1beta2", "v1alpha1"]
