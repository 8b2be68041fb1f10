"""Quotas count what runs and refuse what is too much."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.api.scheme import CONFIG_MAPS, NAMESPACES, PODS, RESOURCE_QUOTAS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.registry.reader import storage_key
from embedded.registry.registry import Registry


def _quota(registry: Registry, **hard: str) -> None:
    limits = {name.replace("_", "."): value for name, value in hard.items()}
    registry.create(RESOURCE_QUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": limits}}, namespace="default")


def _pod(name: str, *, init: str | None = None, **requests: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "m", "image": "b", "resources": {"requests": requests}}]}
    if init:
        spec["initContainers"] = [{"name": "i", "image": "b", "resources": {"requests": {"cpu": init}}}]
    return {"metadata": {"name": name}, "spec": spec}


def test_pods_beyond_quota_are_refused_until_one_finishes(registry: Registry) -> None:
    _quota(registry, pods="1")
    registry.create(PODS, _pod("a"), namespace="default")
    with pytest.raises(ApiError) as raised:
        registry.create(PODS, _pod("b"), namespace="default")
    assert raised.value.code == 403
    assert raised.value.message == (
        'pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
    )
    ended = registry.get(ObjectRef(PODS, "default", "a")) | {"status": {"phase": "Succeeded"}}
    registry.update(ObjectRef(PODS, "default", "a"), ended, subresource="status")
    registry.create(PODS, _pod("b"), namespace="default")


def test_pod_must_set_the_limited_resources(registry: Registry) -> None:
    _quota(registry, requests_cpu="1")
    with pytest.raises(ApiError, match=r"failed quota: q: must specify requests.cpu for: m"):
        registry.create(PODS, _pod("a"), namespace="default")


def test_largest_init_container_counts_towards_quota(registry: Registry) -> None:
    _quota(registry, requests_cpu="1")
    with pytest.raises(ApiError, match=r"requested: requests.cpu=2"):
        registry.create(PODS, _pod("a", init="2", cpu="100m"), namespace="default")
    registry.create(PODS, _pod("b", init="900m", cpu="100m"), namespace="default")
    with pytest.raises(ApiError, match=r"used: requests.cpu=900m"):
        registry.create(PODS, _pod("c", init="100m", cpu="200m"), namespace="default")


def test_quota_counts_any_resource(registry: Registry) -> None:
    registry.create(
        RESOURCE_QUOTAS,
        {"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "1"}}},
        namespace="default",
    )
    registry.create(CONFIG_MAPS, {"metadata": {"name": "a"}}, namespace="default")
    with pytest.raises(ApiError, match="exceeded quota"):
        registry.create(CONFIG_MAPS, {"metadata": {"name": "b"}}, namespace="default")


def test_limit_that_is_not_a_quantity_is_refused(registry: Registry) -> None:
    with pytest.raises(ApiError) as raised:
        _quota(registry, pods="many")
    assert raised.value.code == 400


def test_quota_changes_apply_at_once(registry: Registry) -> None:
    def make(name: str) -> None:
        registry.create(CONFIG_MAPS, {"metadata": {"name": name}}, namespace="default")

    make("before")
    _quota(registry, configmaps="1")
    with pytest.raises(ApiError, match="exceeded quota"):
        make("refused")
    more = registry.get(ObjectRef(RESOURCE_QUOTAS, "default", "q"))
    more["spec"]["hard"]["configmaps"] = "2"
    registry.update(ObjectRef(RESOURCE_QUOTAS, "default", "q"), more)
    make("second")
    with pytest.raises(ApiError, match="exceeded quota"):
        make("refused")
    registry.delete(ObjectRef(RESOURCE_QUOTAS, "default", "q"))
    make("third")


def test_deleted_namespace_refuses_objects_until_recreated(registry: Registry) -> None:
    for _ in range(2):
        with pytest.raises(ApiError, match="not found"):
            registry.create(CONFIG_MAPS, {"metadata": {"name": "c"}}, namespace="team")
        registry.create(NAMESPACES, {"metadata": {"name": "team"}})
        registry.create(CONFIG_MAPS, {"metadata": {"name": "c"}}, namespace="team")
        registry.delete(ObjectRef(CONFIG_MAPS, "team", "c"))
        team = ObjectRef(NAMESPACES, None, "team")
        registry.store.delete(storage_key(team), registry.get(team))
