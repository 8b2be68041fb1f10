"""Base64 is read as Go reads it: line breaks are ignored, errors name the same byte."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.api.base64_codec import Base64Error, decode_base64, normalize_base64

_WITHOUT_BREAKS = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def _error_position(text: str) -> int | None:
    try:
        decode_base64(text)
    except Base64Error as error:
        return error.position
    return None


@pytest.mark.parametrize("text", ["aGVsbG8=", "aGVs\nbG8=\n", "aGVs\r\nbG8=", "\naG\nVsbG8\n=", "aGVsbG9="])
def test_line_breaks_and_trailing_bits_do_not_matter(text: str) -> None:
    assert decode_base64(text) == b"hello"
    assert normalize_base64(text) == "aGVsbG8="


@pytest.mark.parametrize(
    ("text", "position"),
    [
        # From `TestDecodeCorrupt` of Go's encoding/base64.
        *(("!!!!", 0), ("====", 0), ("x===", 1), ("=AAA", 0), ("A=AA", 1), ("AA=A", 2), ("AA==A", 4), ("AAA=AAAA", 4)),
        *(("AAAAA", 4), ("AAAAAA", 4), ("A=", 1), ("A==", 1), ("AA=", 3), ("AAAAAA=", 7), ("YWJjZA=====", 8)),
        *(("A!\n", 1), ("A=\n", 1)),
        # Offsets count bytes.
        ("AAAA é", 4),
    ],
)
def test_an_error_names_the_byte_that_go_names(text: str, position: int) -> None:
    with pytest.raises(Base64Error, match=f"illegal base64 data at input byte {position}$"):
        decode_base64(text)


@given(st.text("Az09+/=-\r\n é", max_size=14))
def test_it_accepts_what_the_grammar_accepts(text: str) -> None:
    plain = text.replace("\r", "").replace("\n", "")
    position = _error_position(text)
    assert (position is None) is bool(_WITHOUT_BREAKS.fullmatch(plain))
    assert position is None or 0 <= position <= len(text.encode())


@given(st.binary(max_size=40), st.integers(1, 10))
def test_bytes_survive_any_wrapping(content: bytes, width: int) -> None:
    encoded = base64.b64encode(content).decode()
    wrapped = "".join(f"{encoded[at : at + width]}\n" for at in range(0, len(encoded), width))
    assert decode_base64(wrapped) == content
    assert normalize_base64(wrapped) == encoded
