"""The spellings of a text that no notation of escapes makes up for: other cases, Unicode forms and charsets. Pure."""

import json
import unicodedata
from collections.abc import Iterator

from controller.logs.masking.control_sequences import strip_controls
from controller.logs.masking.escapes import every_notation
from controller.logs.masking.layers import layers

_MIN_CASED_BYTES = 8
_NOTATIONS = every_notation()


def text_forms(value: bytes) -> Iterator[bytes]:
    """The value in every spelling; some may be equal."""
    yield value
    if len(value) >= _MIN_CASED_BYTES:
        yield value.lower()
        yield value.upper()
    # Of a form that is sent by a browser.
    yield value.replace(b" ", b"+")
    # `echo -e` and `printf %b` of shells.
    yield "".join(map("\\0{:03o}".format, value)).encode()
    yield _caret_form(value)
    yield from charset_forms(value)
    # A value that has escapes, or what looks like them, may be written with them undone.
    yield from (layer.text for layer in layers(value, _NOTATIONS))


def _caret_form(value: bytes) -> bytes:
    """As `cat -v` shows it: `^A` for control characters, and `M-` before what is not ASCII."""
    return b"".join(map(_caret, value))


def _caret(byte: int) -> bytes:
    if byte >= 0x80:
        return b"M-" + (_caret(byte - 0x80) if byte not in (0x89, 0x8A) else b"^" + bytes([byte - 0x80 + 0x40]))
    if byte in b"\t\n" or 0x20 <= byte < 0x7F:
        return bytes([byte])
    return b"^" + bytes([byte ^ 0x40])


def charset_forms(value: bytes) -> Iterator[bytes]:
    """Text beyond ASCII, composed and decomposed, in UTF-16 and in Latin-1, also as Python's `ascii` writes it."""
    if value.isascii():
        return
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return
    yield unicodedata.normalize("NFC", text).encode()
    yield unicodedata.normalize("NFD", text).encode()
    yield b"".join(each.encode("latin-1" if each < "\u0100" else "utf-8") for each in text)
    # The search ignores NUL.
    yield strip_controls(text.encode("utf-16-le"))
    yield strip_controls(text.encode("utf-16-be"))


def quoted_forms(value: bytes) -> Iterator[bytes]:
    """The value in a JSON string and in UTF-16, where those differ: what may be within base64."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return
    yield json.dumps(text)[1:-1].encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
    yield text.encode("utf-16-le")
