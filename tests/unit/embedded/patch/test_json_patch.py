"""JSON patches follow RFC 6902 and fail with the errors of a Kubernetes API server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.api.status_errors import ApiError
from embedded.patch.json_patch import json_patch

_LEAVES = st.none() | st.booleans() | st.integers() | st.text("ab/", max_size=3)
_KEYS = st.text("ab/~1", min_size=1, max_size=4)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3))
_OBJECTS = st.dictionaries(_KEYS, _JSON, max_size=4)


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
        ([{"op": "remove", "path": ""}], 422),
        ([{"op": "move", "path": "/a"}], 422),
        ([{"op": "test", "path": "/a", "value": True}], 422),
        ([{"op": "remove", "path": "a"}], 400),
        ([{"op": "add", "path": "/a"}], 400),
        ({"op": "add"}, 400),
        (["add"], 400),
    ],
)
def test_inapplicable_json_patch_is_refused(operations: Any, code: int) -> None:
    with pytest.raises(ApiError) as raised:
        json_patch({"a": 1}, operations)
    assert raised.value.code == code


@given(_OBJECTS, st.lists(st.dictionaries(st.sampled_from(["op", "path", "value", "from"]), _JSON), max_size=3))
def test_any_json_patch_gives_a_document_or_an_api_error(target: Any, operations: Any) -> None:
    code = 0
    try:
        json_patch(target, operations)
    except ApiError as error:
        code = error.code
    assert code in (0, 400, 422)
