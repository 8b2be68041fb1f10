"""HMAC signatures and their text forms."""

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from controller import signing

KEY = b"k" * 32


def test_sign_is_hmac_sha256_over_the_joined_fields() -> None:
    assert signing.sign(KEY, "a", "b") == hmac.new(KEY, b"a\nb", hashlib.sha256).hexdigest()


def test_derived_keys_differ_by_purpose() -> None:
    assert signing.derive_key(KEY, "one") != signing.derive_key(KEY, "two")


@given(st.text())
def test_any_other_text_is_not_the_signature(text: str) -> None:
    expected = signing.sign(KEY, "a")
    assert signing.is_same(expected, text) == (text == expected)


def test_lone_surrogate_is_not_the_signature() -> None:
    assert not signing.is_same(signing.sign(KEY, "a"), "\ud800")


@given(st.binary())
def test_base64_round_trip(data: bytes) -> None:
    assert signing.decode_base64(signing.encode_base64(data)) == data
