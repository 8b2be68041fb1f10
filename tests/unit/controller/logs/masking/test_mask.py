"""The mask against an independent idea of what must be hidden."""

import base64
import json
import shlex
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.logs.masking.encodings import encode_secret_variants
from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.patterns import SecretPatterns


def masked(values: list[bytes], pieces: list[bytes]) -> bytes:
    mask = SecretMasker(SecretPatterns(values))
    return b"".join([*(mask.feed(piece) for piece in pieces), mask.flush()])


def covered(text: bytes, patterns: frozenset[bytes]) -> list[bool]:
    """Which bytes belong to an occurrence: by looking at every place, for every pattern."""
    found = [False] * len(text)
    for pattern in patterns:
        for at in range(len(text) - len(pattern) + 1):
            if text[at : at + len(pattern)] == pattern:
                found[at : at + len(pattern)] = [True] * len(pattern)
    return found


small = st.text("ab", min_size=4, max_size=7).map(str.encode)
lines = st.lists(st.text("ab", min_size=0, max_size=9), min_size=2, max_size=4).map("\n".join).map(str.encode)
text_of_them = st.text("ab\n", max_size=60).map(str.encode)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(small, lines), min_size=1, max_size=4), text_of_them, st.data())
def test_masking_does_not_depend_on_chunk_boundaries(values: list[bytes], text: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    out = masked(values, pieces)
    hidden = covered(text, encode_secret_variants(values).literal)
    kept = bytes(byte for byte, hide in zip(text, hidden, strict=True) if not hide or byte == 10)
    assert out.replace(b"***", b"") == kept
    assert out.count(b"\n") == text.count(b"\n")
    assert (b"***" in out) == any(hide and byte != 10 for byte, hide in zip(text, hidden, strict=True))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(small, lines), min_size=1, max_size=3), text_of_them)
def test_every_split_point_gives_the_same(values: list[bytes], text: bytes) -> None:
    whole = masked(values, [text])
    for cut in range(len(text) + 1):
        assert masked(values, [text[:cut], text[cut:]]) == whole
    assert masked(values, [text[at : at + 1] for at in range(len(text))]) == whole


secret = st.binary(min_size=4, max_size=40).filter(lambda value: len(value.strip()) >= 4)


@settings(max_examples=200, deadline=None)
@given(secret, st.binary(max_size=5), st.binary(max_size=5))
def test_a_value_is_hidden_in_base64_of_whatever_surrounds_it(value: bytes, before: bytes, after: bytes) -> None:
    encoded = base64.b64encode(before + value + after)
    out = masked([value], [encoded])
    first, last = -(-len(before) * 8 // 6), (len(before) + len(value)) * 8 // 6
    assert encoded[first:last] not in out
    assert b"***" in out
    assert b"***" in masked([value], [base64.urlsafe_b64encode(before + value + after)])


def has_enough_to_see(value: str) -> bool:
    """Whether four bytes are left without characters that a reader doesn't see."""
    seen = "".join(each for each in value if unicodedata.category(each) not in ("Cc", "Cf", "Mn"))
    return len(seen.encode().strip()) >= 4


printable = st.text(min_size=4, max_size=30).filter(has_enough_to_see)


@settings(max_examples=200, deadline=None)
@given(printable)
def test_a_value_is_hidden_as_programs_quote_it(value: str) -> None:
    stripped = value.strip("\r\n")
    quoted = shlex.quote(stripped)
    shell = quoted if quoted == stripped else quoted[1:-1]
    for form in (quote(value, safe=""), json.dumps(value)[1:-1], shell):
        assert form.encode() not in masked([value.encode()], [b"x=" + form.encode() + b";"]), form


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    assert masked([b"abcdef", b"defghi"], [b"<abcdefghi>"]) == b"<***>"


def test_a_value_in_a_text_of_many_lines_keeps_the_lines() -> None:
    assert masked([b"first\n\nlast one"], [b"a first\n\nlast one b\n"]) == b"a ***\n\n*** b\n"


def test_the_lines_of_a_key_are_hidden_one_by_one_too() -> None:
    key = b"-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nshort\n-----END KEY-----\n"
    out = masked([key], [b"x MIIEpAIBAAKCAQEA y\nshort\n"])
    assert out == b"x *** y\nshort\n"


def test_complete_line_is_not_held_back() -> None:
    mask = SecretMasker(SecretPatterns([b"hunter22", b"\nodd value\n"]))
    assert mask.feed(b"a line\n") == b"a line\n"
    assert mask.feed(b"hunter2") == b""
    assert mask.feed(b"!\n") == b"hunter2!\n"


@pytest.mark.parametrize("value", [b"", b"abc", b"   ", b"        ", b"\n\n\n\n", b" ab "])
def test_short_and_blank_values_are_not_masked(value: bytes) -> None:
    assert not SecretPatterns([value])
    assert masked([value], [b"abc     \n ab \n\n\n\n"]) == b"abc     \n ab \n\n\n\n"


def test_a_multi_line_value_does_not_hide_indentation() -> None:
    assert masked([b"{\n          \n  'k': 'abcdefgh'\n}"], [b"          code\n"]) == b"          code\n"


def test_base64_that_a_program_breaks_into_lines_is_hidden() -> None:
    value = bytes(range(33, 123)) * 2
    out = masked([value], [base64.encodebytes(value)])
    assert out.replace(b"***", b"").strip() == b""


def test_without_secrets_the_bytes_pass_as_they_are() -> None:
    piece = b"anything"
    assert SecretMasker(SecretPatterns([])).feed(piece) is piece
