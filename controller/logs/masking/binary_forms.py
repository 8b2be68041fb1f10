"""How programs write bytes: base64 and hexadecimal digits. Pure."""

import base64
import binascii
from collections.abc import Iterator

MIN_LINE_BYTES = 8
_BASE64_LINES = (64, 76)
_HEX_LINES = (60, 64)
_MIN_TWICE_BYTES = 8


def base64_forms(value: bytes) -> Iterator[bytes]:
    """Base64 (RFC 4648, both alphabets) of a text that contains the value.

    Three bytes become four characters, so the value may begin at one of three positions of such a group. Characters
    that also depend on the bytes around the value are left out; where the text ends with the value, its last
    characters and the padding are known too.
    """
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        for shift, skipped in ((0, 0), (1, 2), (2, 3)):
            encoded = encode(bytes(shift) + value)
            known = (shift + len(value)) * 8 // 6
            yield encoded[skipped:known]
            yield encoded[skipped:]
            yield encoded.rstrip(b"=")[skipped:]


def double_base64_forms(value: bytes) -> Iterator[bytes]:
    """Base64 of the base64 of the value alone, with and without padding, also with a newline between the two."""
    if len(value) >= _MIN_TWICE_BYTES:
        once = base64.standard_b64encode(value)
        twice = base64.standard_b64encode(once)
        yield twice
        yield twice.rstrip(b"=")
        yield base64.standard_b64encode(once.rstrip(b"=")).rstrip(b"=")
        yield base64.standard_b64encode(once + b"\n").rstrip(b"=")[: len(once) * 8 // 6]


def hex_forms(value: bytes) -> Iterator[bytes]:
    """Hexadecimal digits, in either case."""
    encoded = binascii.hexlify(value)
    yield encoded
    yield encoded.upper()


def line_forms(value: bytes) -> Iterator[bytes]:
    """The single lines of encoded text as `base64`, `openssl` and `xxd -p` break it."""
    for encoded, widths in ((base64.standard_b64encode(value), _BASE64_LINES), (binascii.hexlify(value), _HEX_LINES)):
        for width in widths:
            if len(encoded) > width:
                pieces = (encoded[at : at + width] for at in range(0, len(encoded), width))
                yield from (piece for piece in pieces if len(piece) >= MIN_LINE_BYTES)
