"""JSON and YAML are decoded as by a real server, with duplicate fields reported."""

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


def test_duplicate_json_fields_are_reported_with_their_path() -> None:
    duplicates: list[str] = []
    found = decode.read_object(b'{"data":{"a":"1","a":"2"},"l":[{"x":1,"x":2,"x":3}]}', _JSON, "ConfigMap", duplicates)
    assert found == {"data": {"a": "2"}, "l": [{"x": 3}]}
    assert duplicates == ['duplicate field "data.a"', 'duplicate field "l[0].x"', 'duplicate field "l[0].x"']


def test_duplicate_yaml_keys_are_reported_with_their_line() -> None:
    duplicates: list[str] = []
    text = b"kind: ConfigMap\ndata:\n  a: one\n  a: two\n  day: 2026-01-01\n  1: number\n"
    found = decode.read_object(text, _YAML, "ConfigMap", duplicates)
    assert found["data"] == {"a": "two", "day": "2026-01-01", "1": "number"}
    assert duplicates == ['yaml: unmarshal errors:\n  line 4: key "a" already set in map']


@pytest.mark.parametrize("text", [b'{"a":NaN}', b'{"a":-Infinity}', b"{} {}", b"", b"\xff\xfe"])
def test_invalid_json_is_a_bad_request(text: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        decode.read_object(text, _JSON, "ConfigMap")
    assert raised.value.code == 400


@given(st.dictionaries(st.text(max_size=5), _VALUES, max_size=4))
def test_every_json_object_is_decoded_unchanged(value: dict[str, object]) -> None:
    duplicates: list[str] = []
    assert decode.read_object(json.dumps(value).encode(), _JSON, "X", duplicates) == value
    assert duplicates == []


_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "message"),
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
def test_yaml_without_a_json_form_is_rejected(text: str, message: str) -> None:
    with pytest.raises(ApiError, match=message) as raised:
        decode.read_object(text.encode(), _YAML, "ConfigMap", [])
    assert raised.value.code == 400


def test_yaml_aliases_are_expanded() -> None:
    assert decode.read_object(b"a: &x {k: v}\nb: *x\n", _YAML, "ConfigMap") == {"a": {"k": "v"}, "b": {"k": "v"}}


_OBJECT = b'{"metadata":{"name":"a"}}'


@pytest.mark.parametrize(
    "content_type", ["", " ", "application/json; charset=utf-8", 'APPLICATION/JSON;a="b;c"', "application/json;"]
)
def test_a_body_without_a_type_or_with_that_of_json_is_json(content_type: str) -> None:
    assert decode.read_object(_OBJECT, content_type, "ConfigMap") == {"metadata": {"name": "a"}}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/octet-stream",
        "text/plain",
        "text/yaml",
        ";charset=utf-8",
        "json",
        "application/json; charset",
        "*/*",
    ],
)
def test_a_body_of_another_type_is_unsupported(content_type: str) -> None:
    with pytest.raises(ApiError) as refused:
        decode.read_object(_OBJECT, content_type, "ConfigMap")
    assert (refused.value.code, refused.value.reason) == (415, "UnsupportedMediaType")
    assert refused.value.message == (
        "the body of the request was in an unknown format - accepted media types include: application/json, "
        "application/yaml, application/vnd.kubernetes.protobuf"
    )


@pytest.mark.parametrize("content_type", ["", "application/json", "application/octet-stream"])
def test_a_patch_needs_a_type_of_its_own(content_type: str) -> None:
    with pytest.raises(ApiError) as refused:
        decode.patch_kind(content_type, custom=False)
    assert refused.value.code == 415
