"""Quotas count what runs and refuse what is too much."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.api.quantity import format_quantity, parse_quantity
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


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("500m", "0.5"),
        ("2", "2"),
        ("1.5", "1.5"),
        ("2Gi", str(2 << 30)),
        ("1k", "1000"),
        ("1e3", "1000"),
        ("1E", "1e18"),
    ],
)
def test_quantities(text: str, amount: str) -> None:
    assert parse_quantity(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1gb", "--1", "1e"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


@given(st.integers(0, 10**9))
def test_a_quantity_reads_back_as_it_was(thousandths: int) -> None:
    amount = Decimal(thousandths) / 1000
    assert parse_quantity(format_quantity(amount, "cpu")) == amount


def test_memory_is_written_in_binary_units() -> None:
    assert format_quantity(Decimal(3 << 30), "limits.memory") == "3Gi"


def test_pods_beyond_the_limit_are_refused_until_one_has_ended(registry: Registry) -> None:
    _quota(registry, pods="1")
    registry.create(PODS, _pod("a"), namespace="default")
    with pytest.raises(ApiError) as told:
        registry.create(PODS, _pod("b"), namespace="default")
    assert told.value.code == 403
    assert told.value.message == (
        'pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'
    )
    ended = registry.get(ObjectRef(PODS, "default", "a")) | {"status": {"phase": "Succeeded"}}
    registry.update(ObjectRef(PODS, "default", "a"), ended, subresource="status")
    registry.create(PODS, _pod("b"), namespace="default")


def test_a_pod_has_to_say_what_is_limited(registry: Registry) -> None:
    _quota(registry, requests_cpu="1")
    with pytest.raises(ApiError, match=r"failed quota: q: must specify requests.cpu for: m"):
        registry.create(PODS, _pod("a"), namespace="default")


def test_the_greatest_init_container_counts_when_it_is_more_than_the_rest(registry: Registry) -> None:
    _quota(registry, requests_cpu="1")
    with pytest.raises(ApiError, match=r"requested: requests.cpu=2"):
        registry.create(PODS, _pod("a", init="2", cpu="100m"), namespace="default")
    registry.create(PODS, _pod("b", init="900m", cpu="100m"), namespace="default")
    with pytest.raises(ApiError, match=r"used: requests.cpu=900m"):
        registry.create(PODS, _pod("c", init="100m", cpu="200m"), namespace="default")


def test_any_resource_can_be_counted(registry: Registry) -> None:
    registry.create(
        RESOURCE_QUOTAS,
        {"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "1"}}},
        namespace="default",
    )
    registry.create(CONFIG_MAPS, {"metadata": {"name": "a"}}, namespace="default")
    with pytest.raises(ApiError, match="exceeded quota"):
        registry.create(CONFIG_MAPS, {"metadata": {"name": "b"}}, namespace="default")


def test_a_limit_that_is_no_quantity_is_refused(registry: Registry) -> None:
    with pytest.raises(ApiError) as told:
        _quota(registry, pods="many")
    assert told.value.code == 400


def test_a_quota_holds_from_the_moment_it_is_made_changed_or_gone(registry: Registry) -> None:
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


def test_nothing_is_made_in_a_namespace_that_is_gone_until_it_is_made_again(registry: Registry) -> None:
    for _ in range(2):
        with pytest.raises(ApiError, match="not found"):
            registry.create(CONFIG_MAPS, {"metadata": {"name": "c"}}, namespace="team")
        registry.create(NAMESPACES, {"metadata": {"name": "team"}})
        registry.create(CONFIG_MAPS, {"metadata": {"name": "c"}}, namespace="team")
        registry.delete(ObjectRef(CONFIG_MAPS, "team", "c"))
        team = ObjectRef(NAMESPACES, None, "team")
        registry.store.delete(storage_key(team), registry.get(team))
