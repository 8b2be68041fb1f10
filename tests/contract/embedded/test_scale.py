"""The scale subresource of custom resources, as `kubectl scale` and autoscalers use it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.embedded.conftest import Api
from tests.support.waiting import wait_until

_PATH = "/apis/scaled.example.com/v1/namespaces/default/sets"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def _definition(**scale: str) -> dict[str, Any]:
    replicas = {"type": "object", "properties": {"replicas": {"type": "integer", "maximum": 5}}}
    status = {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}}
    schema = {"type": "object", "properties": {"spec": replicas, "status": status}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    paths = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    paths["labelSelectorPath"] = ".status.selector"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "sets.scaled.example.com"},
        "spec": {
            "group": "scaled.example.com",
            "scope": "Namespaced",
            "names": {"plural": "sets", "kind": "Set"},
            "versions": [{**version, "subresources": {"status": {}, "scale": {**paths, **scale}}}],
        },
    }


@pytest.fixture
def one(api: Api) -> dict[str, Any]:
    """A custom resource with one replica."""
    api("POST", _DEFINITIONS, _definition())
    wait_until(lambda: api("GET", _PATH)[0] == 200, what="the resource to be served")
    api("DELETE", f"{_PATH}/one")
    made = {"apiVersion": "scaled.example.com/v1", "kind": "Set", "metadata": {"name": "one"}, "spec": {"replicas": 1}}
    status, body = api("POST", _PATH, made)
    assert status == 201, body
    return dict(body)


def test_a_scale_shows_the_replicas(api: Api, one: dict[str, Any]) -> None:
    merged = {"status": {"replicas": 2, "selector": "a=b"}}
    api("PATCH", f"{_PATH}/one/status", merged, content_type="application/merge-patch+json")
    status, scale = api("GET", f"{_PATH}/one/scale")
    assert (status, scale["kind"], scale["apiVersion"]) == (200, "Scale", "autoscaling/v1")
    assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 2, "selector": "a=b"})
    assert scale["metadata"]["uid"] == one["metadata"]["uid"]


def test_a_scale_changes_the_replicas(api: Api, one: dict[str, Any]) -> None:
    patch = {"spec": {"replicas": 3}}
    status, scale = api("PATCH", f"{_PATH}/one/scale", patch, content_type="application/merge-patch+json")
    assert (status, scale["spec"]) == (200, {"replicas": 3})
    assert api("PUT", f"{_PATH}/one/scale", {**scale, "spec": {"replicas": 4}})[1]["spec"] == {"replicas": 4}
    changed = api("GET", f"{_PATH}/one")[1]
    assert (changed["spec"], changed["metadata"]["generation"]) == ({"replicas": 4}, 3)
    # The version of the scale is that of the object, which has changed.
    status, body = api("PUT", f"{_PATH}/one/scale", scale)
    assert (status, body["reason"]) == (409, "Conflict")


def test_replicas_are_validated(api: Api, one: dict[str, Any]) -> None:
    for replicas, field in ((-1, "spec.replicas"), (9, "spec.replicas")):
        patch = {"spec": {"replicas": replicas}}
        status, body = api("PATCH", f"{_PATH}/one/scale", patch, content_type="application/merge-patch+json")
        assert (status, body["details"]["causes"][0]["field"]) == (422, field)


def test_the_scale_is_discovered(api: Api, one: dict[str, Any]) -> None:
    resources = {each["name"]: each for each in api("GET", "/apis/scaled.example.com/v1")[1]["resources"]}
    scale = resources["sets/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ({"specReplicasPath": "spec.replicas"}, "must be a simple json path starting with ."),
        ({"specReplicasPath": ".status.replicas"}, "should be a json path under .spec"),
        ({"statusReplicasPath": ".spec.replicas"}, "should be a json path under .status"),
        ({"labelSelectorPath": ".metadata.x"}, "should be a json path under either .status or .spec"),
    ],
)
def test_paths_of_a_scale_are_validated(api: Api, scale: dict[str, str], message: str) -> None:
    definition = _definition(**scale)
    definition["metadata"]["name"] = "sets.other.example.com"
    definition["spec"]["group"] = "other.example.com"
    status, body = api("POST", _DEFINITIONS, definition)
    assert status == 422
    assert message in body["message"]
