"""The texts to mask for a set of secret values: the values, their members, and both in every encoding. Pure.

Matching happens in `mask.py`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controller.logs.masking.binary_forms import (
    MIN_LINE_BYTES,
    base64_forms,
    double_base64_forms,
    hex_forms,
    line_forms,
)
from controller.logs.masking.control_sequences import strip_controls
from controller.logs.masking.dumps import MAX_DUMPED_BYTES, MIN_DUMPED_BYTES
from controller.logs.masking.folded import MAX_FOLDED_BYTES, MIN_FOLDED_BYTES
from controller.logs.masking.members import secret_members
from controller.logs.masking.text_forms import quoted_forms, text_forms

MIN_VALUE_BYTES = 4
MIN_WRAPPED_BYTES = 12
"""Encoded text of this length is found although it is broken over lines."""
MAX_ENCODED_BYTES = 8 * 1024
"""Longer values are masked as they are, line by line, and in base64 of one line or in lines of 64 or 76."""
MAX_MULTILINE_BYTES = 8 * 1024
"""Longer values of many lines are masked only line by line: lines of less than 8 bytes in them are not."""

_UNBROKEN = re.compile(rb"[A-Za-z0-9+/_=.-]{24,}")


@dataclass(frozen=True)
class SecretVariants:
    """What to mask.

    `literal` as it is, `wrapped` also where line breaks are within, `dumped` in hexadecimal dumps, and `folded` where
    line breaks stand for blanks.
    """

    literal: frozenset[bytes]
    wrapped: frozenset[bytes]
    dumped: frozenset[bytes]
    folded: frozenset[bytes]


def encode_secret_variants(values: Iterable[bytes]) -> SecretVariants:
    """All byte strings to mask for these secret values; values under 4 bytes are not masked.

    Of a multi-line value, each line of 8 bytes or more is masked too, without surrounding white space: an indentation
    alone is not secret. Of a structured value, each member of 8 bytes or more is.
    """
    literal: set[bytes] = set()
    wrapped: set[bytes] = set()
    dumped: set[bytes] = set()
    for value in values:
        if len(value.strip()) < MIN_VALUE_BYTES:
            continue
        for each in (value, *secret_members(value)):
            literal.update(_literal_forms(each))
            encoded = set(_wrapped_forms(each))
            literal.update(encoded)
            dumped.update(text for text in _trimmed(each) if MIN_DUMPED_BYTES <= len(text) <= MAX_DUMPED_BYTES)
            wrapped.update(form for form in encoded if len(form) >= MIN_WRAPPED_BYTES)
    # A reader doesn't see the control characters of a value, and the search ignores them.
    literal.update([strip_controls(form) for form in literal])
    return SecretVariants(
        frozenset(form for form in literal if len(form.strip()) >= MIN_VALUE_BYTES and _is_matched(form)),
        frozenset(wrapped),
        frozenset(dumped),
        frozenset(form for each in dumped if _is_folded(each) for form in (each, strip_controls(each))),
    )


def _is_folded(text: bytes) -> bool:
    return MIN_FOLDED_BYTES <= len(text) <= MAX_FOLDED_BYTES and b" " in text and b"\n" not in text


def _is_matched(form: bytes) -> bool:
    """Long texts of many lines are masked line by line only: what is remembered grows with lines times length."""
    return len(form) <= MAX_MULTILINE_BYTES or b"\n" not in form


def _trimmed(value: bytes) -> set[bytes]:
    """The value without newlines at its ends, which would mask the ends of lines and hold every line back."""
    return {value.strip(b"\r\n"), value.strip()}


def _literal_forms(value: bytes) -> Iterator[bytes]:
    for text in _trimmed(value):
        yield text
        if len(value) <= MAX_ENCODED_BYTES:
            yield from text_forms(text)
    if len(value) > MAX_ENCODED_BYTES:
        yield from base64_forms(value)
    yield from line_forms(value)
    lines = (line.strip() for line in value.splitlines())
    yield from (line for line in lines if len(line) >= MIN_LINE_BYTES)


def _wrapped_forms(value: bytes) -> Iterator[bytes]:
    if len(value) > MAX_ENCODED_BYTES:
        return
    for text in {value} | _trimmed(value):
        yield from base64_forms(text)
        yield from double_base64_forms(text)
        yield from hex_forms(text)
        if _UNBROKEN.fullmatch(text):
            yield text
    for text in set(quoted_forms(value.strip())) - {value.strip()}:
        yield from base64_forms(text)
