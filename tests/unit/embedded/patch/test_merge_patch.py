"""JSON merge patch and strategic merge patch follow their standards and leave their inputs alone."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from embedded.patch.merge_patch import merge_patch, strategic_merge_patch

_LEAVES = st.none() | st.booleans() | st.integers() | st.text("ab/", max_size=3)
_KEYS = st.text("ab/~1", min_size=1, max_size=4)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3))
_OBJECTS = st.dictionaries(_KEYS, _JSON, max_size=4)


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(item) for key, item in value.items() if item is not None}


@given(_OBJECTS, _OBJECTS)
def test_merge_patch_is_idempotent(target: Any, patch: Any) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(_OBJECTS, _OBJECTS)
def test_patches_do_not_change_their_inputs(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    merge_patch(target, patch)
    strategic_merge_patch(target, patch)
    assert (target, patch) == before


@given(_OBJECTS)
def test_merge_into_empty_object_drops_nulls(patch: Any) -> None:
    assert merge_patch({}, patch) == _without_nulls(patch)


def test_strategic_merge_merges_lists_by_key() -> None:
    target = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}
    patch = {"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "3"}]}
    assert strategic_merge_patch(target, patch) == {
        "containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"}]
    }
    assert strategic_merge_patch(target, {"containers": [{"name": "a", "$patch": "delete"}]}) == {
        "containers": [{"name": "b", "image": "1"}]
    }


def test_strategic_merge_adds_and_removes_finalizers() -> None:
    assert strategic_merge_patch({"finalizers": ["a"]}, {"finalizers": ["b"]}) == {"finalizers": ["a", "b"]}
    assert strategic_merge_patch({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}) == {
        "finalizers": ["b"]
    }
