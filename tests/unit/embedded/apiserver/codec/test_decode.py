"""What a body says: JSON and YAML as a real server reads them, and what they say twice."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.api.status_errors import ApiError
from embedded.apiserver.codec import decode

_JSON, _YAML = "application/json", "application/yaml"
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def test_a_field_that_is_there_twice_is_told_with_its_path_and_the_last_one_counts() -> None:
    repeated: list[str] = []
    found = decode.read_object(b'{"data":{"a":"1","a":"2"},"l":[{"x":1,"x":2,"x":3}]}', _JSON, "ConfigMap", repeated)
    assert found == {"data": {"a": "2"}, "l": [{"x": 3}]}
    assert repeated == ['duplicate field "data.a"', 'duplicate field "l[0].x"', 'duplicate field "l[0].x"']


def test_yaml_is_read_and_a_key_that_is_there_twice_is_told_with_its_line() -> None:
    repeated: list[str] = []
    text = b"kind: ConfigMap\ndata:\n  a: one\n  a: two\n  day: 2026-01-01\n  1: number\n"
    found = decode.read_object(text, _YAML, "ConfigMap", repeated)
    assert found["data"] == {"a": "two", "day": "2026-01-01", "1": "number"}
    assert repeated == ['yaml: unmarshal errors:\n  line 4: key "a" already set in map']


@pytest.mark.parametrize("text", [b'{"a":NaN}', b'{"a":-Infinity}', b"{} {}", b"", b"\xff\xfe"])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ApiError) as told:
        decode.read_object(text, _JSON, "ConfigMap")
    assert told.value.code == 400


@given(st.dictionaries(st.text(max_size=5), _VALUES, max_size=4))
def test_every_object_is_read_as_it_was_written_and_says_nothing_twice(value: dict[str, object]) -> None:
    repeated: list[str] = []
    assert decode.read_object(json.dumps(value).encode(), _JSON, "X", repeated) == value
    assert repeated == []


_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (_BOMB, "excessive aliasing"),
        ("a: &a [*a]", "contains itself"),
        ("a: .inf", "unsupported value"),
        ("a: !!binary aGk=", "unsupported type"),
        ("a: !!timestamp 2026-01-01", "unsupported type"),
        ("a: !!python/object/apply:os.system [ls]", "error decoding YAML"),
        ("a: [", "error decoding YAML"),
        ("[" * 5_000, "error decoding YAML"),
    ],
)
def test_yaml_that_is_no_json_is_refused(text: str, why: str) -> None:
    with pytest.raises(ApiError, match=why) as told:
        decode.read_object(text.encode(), _YAML, "ConfigMap", [])
    assert told.value.code == 400


def test_an_alias_is_what_it_stands_for() -> None:
    assert decode.read_object(b"a: &x {k: v}\nb: *x\n", _YAML, "ConfigMap") == {"a": {"k": "v"}, "b": {"k": "v"}}
