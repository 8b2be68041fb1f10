"""Standard base64 as Go's decoder reads it, which is how Kubernetes reads fields of type bytes.

Line breaks are ignored wherever they are (a block scalar of YAML always ends in one), so what is stored is encoded
again without them. Source: `encoding/base64` of Go, `StdEncoding`, which is not strict about trailing bits.
"""

from __future__ import annotations

import base64
import string
from contextlib import suppress

_ALPHABET = frozenset((string.ascii_letters + string.digits + "+/").encode())
_LINE_BREAKS = str.maketrans("", "", "\r\n")
_PADDING = ord("=")
_QUANTUM = 4


class Base64Error(ValueError):
    """A text is not standard base64; `position` is the offset in bytes that Go reports."""

    def __init__(self, position: int) -> None:
        super().__init__(f"illegal base64 data at input byte {position}")
        self.position = position


def decode_base64(text: str) -> bytes:
    """Decode standard base64 with or without line breaks.

    Raises:
        Base64Error: a character is not of the alphabet, or the padding is wrong.
    """
    plain = text.translate(_LINE_BREAKS)
    # Python ignores surplus padding after whole quanta, so that is checked here.
    if len(plain) % _QUANTUM == 0 and not plain.endswith("==="):
        with suppress(ValueError):
            return base64.b64decode(plain, validate=True)
    raise Base64Error(_corrupt_position(text.encode("utf-8", "surrogatepass")))


def normalize_base64(text: str) -> str:
    """The same bytes in the one form that Kubernetes writes.

    Raises:
        Base64Error: it is not base64.
    """
    return base64.b64encode(decode_base64(text)).decode("ascii")


def _corrupt_position(data: bytes) -> int:
    """The offset that Go reports for data that can't be decoded: decodes by quanta of four characters, as it does."""
    in_quantum = 0
    for at, character in enumerate(data):
        if character in b"\r\n":
            continue
        if character == _PADDING:
            return _corrupt_padding(data, at, in_quantum)
        if character not in _ALPHABET:
            return at
        in_quantum = (in_quantum + 1) % _QUANTUM
    return len(data) - in_quantum


def _corrupt_padding(data: bytes, at: int, in_quantum: int) -> int:
    """The offset for data whose first padding is at `at`, after `in_quantum` characters of a quantum."""
    if in_quantum < 2:
        return at
    following = at + 1
    if in_quantum == 2:
        following = _skip_line_breaks(data, following)
        if following == len(data):
            return len(data)
        if data[following] != _PADDING:
            return following - 1
        following += 1
    return _skip_line_breaks(data, following)


def _skip_line_breaks(data: bytes, at: int) -> int:
    while at < len(data) and data[at] in b"\r\n":
        at += 1
    return at
