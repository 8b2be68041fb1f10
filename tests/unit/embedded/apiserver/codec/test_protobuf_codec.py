"""Protobuf objects of kubectl are decoded completely or rejected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.api.status_errors import ApiError
from embedded.apiserver.codec import protobuf_codec


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _encode_object(kind: str, raw: bytes, version: str = "v1") -> bytes:
    return b"k8s\x00" + _field(1, _field(1, version) + _field(2, kind)) + _field(2, raw) + _field(3, "")


def _code(data: bytes) -> int:
    try:
        protobuf_codec.decode(data)
    except ApiError as error:
        return error.code
    return 200


def test_a_secret_is_decoded() -> None:
    metadata = _field(1, "s") + _field(2, "") + _field(8, b"") + _field(11, _field(1, "app") + _field(2, "x"))
    raw = _field(1, metadata) + _field(2, _field(1, "key") + _field(2, b"\x00\xff")) + _field(3, "Opaque")
    assert protobuf_codec.decode(_encode_object("Secret", raw)) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "labels": {"app": "x"}},
        "data": {"key": "AP8="},
        "type": "Opaque",
    }


@pytest.mark.parametrize("number", [0, 1, 127, 128, 1 << 40, -1])
def test_numbers_keep_their_value(number: int) -> None:
    raw = _field(2, _field(7, number))
    assert protobuf_codec.decode(_encode_object("Job", raw, "batch/v1"))["spec"] == {"backoffLimit": number}


def test_unknown_fields_are_rejected_unless_empty() -> None:
    assert _code(_encode_object("ConfigMap", _field(99, b""))) == 200
    assert _code(_encode_object("ConfigMap", _field(99, 0))) == 200
    assert _code(_encode_object("ConfigMap", _field(99, b"something"))) == 415


@pytest.mark.parametrize("kind", ["Deployment", "", "ObjectMeta2"])
def test_unsupported_kinds_are_rejected_with_advice(kind: str) -> None:
    with pytest.raises(ApiError, match="kubectl apply") as raised:
        protobuf_codec.decode(_encode_object(kind, b""))
    assert raised.value.code == 415


@pytest.mark.parametrize("data", [b"", b"{}", b"k8s\x00\x0a\xff", b"k8s\x00\x0b", b"k8s\x00" + b"\xff" * 20])
def test_broken_bytes_are_a_bad_request(data: bytes) -> None:
    assert _code(data) == 400


def test_an_invalid_time_is_a_bad_request() -> None:
    assert _code(_encode_object("ConfigMap", _field(1, _field(8, _field(1, 1 << 60))))) == 400


@given(st.binary(max_size=60))
def test_any_bytes_of_any_kind_get_an_answer(raw: bytes) -> None:
    assert _code(b"k8s\x00" + raw) in (200, 400, 415)
    for kind in ("Job", "Secret", "ResourceQuota", "TokenRequest"):
        assert _code(_encode_object(kind, raw)) in (200, 400, 415)
