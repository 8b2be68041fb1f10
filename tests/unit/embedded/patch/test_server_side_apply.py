"""Server-side apply: owners, what is taken back, and honest conflicts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.api.scheme import CONFIG_MAPS, JOBS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.patch import server_side_apply
from embedded.registry.options import WriteOptions
from embedded.registry.registry import Registry


def _apply(registry: Registry, manager: str, data: dict[str, str], *, force: bool = False) -> dict[str, Any]:
    options = WriteOptions(field_manager=manager, force=force)
    return registry.patch(
        ObjectRef(CONFIG_MAPS, "default", "c"), {"data": data}, patch_type="apply", options=options
    ).object


def _managers(obj: dict[str, Any]) -> dict[str, list[str]]:
    return {entry["manager"]: sorted(entry["fieldsV1"].get("f:data", {})) for entry in obj["metadata"]["managedFields"]}


def test_apply_creates_a_missing_object(registry: Registry) -> None:
    made = _apply(registry, "ann", {"k": "v"})
    assert (made["data"], _managers(made)) == ({"k": "v"}, {"ann": ["f:k"]})


def test_apply_removes_fields_no_longer_applied(registry: Registry) -> None:
    _apply(registry, "ann", {"k": "v", "l": "w"})
    assert _apply(registry, "ann", {"l": "w"})["data"] == {"l": "w"}


def test_field_with_another_owner_is_kept(registry: Registry) -> None:
    _apply(registry, "ann", {"k": "v"})
    _apply(registry, "bob", {"k": "v", "m": "x"})
    assert _apply(registry, "ann", {"l": "w"})["data"] == {"k": "v", "l": "w", "m": "x"}


def test_conflict_names_manager_and_field(registry: Registry) -> None:
    _apply(registry, "ann", {"k": "v"})
    with pytest.raises(ApiError) as raised:
        _apply(registry, "bob", {"k": "other"})
    assert (raised.value.code, raised.value.reason) == (409, "Conflict")
    assert raised.value.message == 'Apply failed with 1 conflict: conflict with "ann": .data.k'
    assert registry.get(ObjectRef(CONFIG_MAPS, "default", "c"))["data"] == {"k": "v"}


def test_force_takes_over_ownership(registry: Registry) -> None:
    _apply(registry, "ann", {"k": "v"})
    taken = _apply(registry, "bob", {"k": "other"}, force=True)
    assert (taken["data"], _managers(taken)) == ({"k": "other"}, {"bob": ["f:k"]})


def test_updates_own_the_fields_that_they_change(registry: Registry) -> None:
    _apply(registry, "ann", {"k": "v"})
    options = WriteOptions(field_manager="editor")
    edited = registry.patch(
        ObjectRef(CONFIG_MAPS, "default", "c"), {"data": {"k": "edited", "new": "1"}}, options=options
    ).object
    assert _managers(edited) == {"editor": ["f:k", "f:new"]}
    with pytest.raises(ApiError, match=r'^Apply failed with 1 conflict: conflict with "editor" using v1: \.data\.k$'):
        _apply(registry, "ann", {"k": "v"})
    with pytest.raises(ApiError) as raised:
        _apply(registry, "ann", {"k": "v", "new": "2"})
    assert raised.value.message == (
        'Apply failed with 2 conflicts: conflicts with "editor" using v1:\n- .data.k\n- .data.new'
    )


def test_fields_before_first_apply_have_an_owner(registry: Registry) -> None:
    registry.create(CONFIG_MAPS, {"metadata": {"name": "c"}, "data": {"k": "v"}}, namespace="default")
    with pytest.raises(ApiError, match='conflict with "before-first-apply"'):
        _apply(registry, "ann", {"k": "other"})


def test_repeated_apply_changes_nothing(registry: Registry) -> None:
    first = _apply(registry, "ann", {"k": "v"})
    assert _apply(registry, "ann", {"k": "v"}) == first


def test_items_of_a_keyed_list_have_separate_owners(registry: Registry) -> None:
    def job(**variables: str) -> dict[str, Any]:
        env = [{"name": name, "value": value} for name, value in variables.items()]
        container = {"name": "main", "image": "b", "env": env}
        return {"spec": {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}}

    options = WriteOptions(field_manager="ann")
    registry.patch(ObjectRef(JOBS, "default", "j"), job(A="1"), patch_type="apply", options=options)
    stored = registry.get(ObjectRef(JOBS, "default", "j"))
    fields = stored["metadata"]["managedFields"][0]["fieldsV1"]
    containers = fields["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert containers['k:{"name":"main"}']["f:env"]['k:{"name":"A"}'] == {".": {}, "f:name": {}, "f:value": {}}


def test_custom_resource_lists_follow_their_schema() -> None:
    schema = {
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "keyed": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["id"],
                        "items": {"type": "object"},
                    },
                    "plain": {"type": "array", "items": {"type": "object"}},
                    "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                },
            }
        }
    }
    key = server_side_apply.schema_list_key(schema)
    obj = {"metadata": {}, "spec": {"keyed": [{"id": 1, "a": 2}], "plain": [{"name": "x"}], "set": ["m"]}}
    assert server_side_apply.field_paths(obj, key) == {
        ("f:spec", "f:keyed", 'k:{"id":1}'),
        ("f:spec", "f:keyed", 'k:{"id":1}', "f:id"),
        ("f:spec", "f:keyed", 'k:{"id":1}', "f:a"),
        ("f:spec", "f:plain"),
        ("f:spec", "f:set", 'v:"m"'),
    }


_DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2"]), max_size=4)


@given(_DATA, st.lists(_DATA, max_size=4))
def test_forced_apply_sets_and_later_removes_its_fields(other: dict[str, str], wishes: list[dict[str, str]]) -> None:
    live: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "data": other,
    }
    claim = server_side_apply.ManagedFieldsEntry("ann", "Apply", "", "v1", "2026-01-01T00:00:00Z", frozenset())
    for wish in wishes:
        wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": wish}
        live = server_side_apply.apply_patch(live, wanted, claim, server_side_apply.built_in_list_key, force=True)
        data = live.get("data", {})
        assert wish.items() <= data.items()
        assert data.keys() - wish.keys() <= other.keys()
