"""Patches do what their standards say and leave what they were given alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.api.status_errors import ApiError
from embedded.patch.json_patch import json_patch
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
def test_a_merge_patch_applied_twice_is_as_applied_once(target: Any, patch: Any) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(_OBJECTS, _OBJECTS)
def test_patches_do_not_change_what_they_are_given(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    merge_patch(target, patch)
    strategic_merge_patch(target, patch)
    assert (target, patch) == before


@given(_OBJECTS)
def test_merging_into_nothing_gives_the_patch_without_its_nulls(patch: Any) -> None:
    assert merge_patch({}, patch) == _without_nulls(patch)


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/a/b", "value": 1}], {"a": {"b": 1}, "l": [1, 2]}),
        ([{"op": "add", "path": "/l/-", "value": 3}], {"a": {}, "l": [1, 2, 3]}),
        ([{"op": "add", "path": "/l/0", "value": 0}], {"a": {}, "l": [0, 1, 2]}),
        ([{"op": "remove", "path": "/l/0"}], {"a": {}, "l": [2]}),
        ([{"op": "replace", "path": "/a", "value": "x"}], {"a": "x", "l": [1, 2]}),
        ([{"op": "move", "from": "/l", "path": "/m"}], {"a": {}, "m": [1, 2]}),
        ([{"op": "copy", "from": "/l", "path": "/a/l"}], {"a": {"l": [1, 2]}, "l": [1, 2]}),
        ([{"op": "test", "path": "/l/1", "value": 2}], {"a": {}, "l": [1, 2]}),
        ([{"op": "add", "path": "/a~1b", "value": 1}], {"a": {}, "l": [1, 2], "a/b": 1}),
    ],
)
def test_json_patch(operations: Any, result: Any) -> None:
    assert json_patch({"a": {}, "l": [1, 2]}, operations) == result


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ([{"op": "test", "path": "/a", "value": 2}], 422),
        ([{"op": "remove", "path": "/none"}], 422),
        ([{"op": "add", "path": "/none/x", "value": 1}], 422),
        ([{"op": "replace", "path": "/none", "value": 1}], 422),
        ([{"op": "fly", "path": "/a"}], 422),
        ([{"op": "add", "path": "/a"}], 400),
        ({"op": "add"}, 400),
        (["add"], 400),
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(operations: Any, code: int) -> None:
    with pytest.raises(ApiError) as told:
        json_patch({"a": 1}, operations)
    assert told.value.code == code


@given(_OBJECTS, st.lists(st.dictionaries(st.sampled_from(["op", "path", "value", "from"]), _JSON), max_size=3))
def test_any_json_patch_gives_a_document_or_an_answer(target: Any, operations: Any) -> None:
    code = 0
    try:
        json_patch(target, operations)
    except ApiError as error:
        code = error.code
    assert code in (0, 400, 422)


def test_strategic_merge_knows_lists_by_their_key() -> None:
    target = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}
    patch = {"containers": [{"name": "b", "image": "2"}, {"name": "c", "image": "3"}]}
    assert strategic_merge_patch(target, patch) == {
        "containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"}]
    }
    assert strategic_merge_patch(target, {"containers": [{"name": "a", "$patch": "delete"}]}) == {
        "containers": [{"name": "b", "image": "1"}]
    }


def test_strategic_merge_adds_to_finalizers_and_takes_from_them() -> None:
    assert strategic_merge_patch({"finalizers": ["a"]}, {"finalizers": ["b"]}) == {"finalizers": ["a", "b"]}
    assert strategic_merge_patch({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}) == {
        "finalizers": ["b"]
    }
