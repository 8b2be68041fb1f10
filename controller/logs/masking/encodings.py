"""The encodings in which a secret value may appear in a log. Pure; matching happens in `mask.py`."""

import base64
import json
import shlex
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MIN_VALUE_BYTES = 4
MIN_LINE_BYTES = 8
_BASE64_LINE = 76


def encode_secret_variants(values: Iterable[bytes]) -> frozenset[bytes]:
    """All byte strings to mask for these secret values; values under 4 bytes are not masked.

    Of a multi-line value, each line of 8 bytes or more is masked too, without surrounding white space: an indentation
    alone is not secret.
    """
    found: set[bytes] = set()
    for value in values:
        # Newlines at the ends would mask the ends of lines, and hold every line back.
        texts = {value.strip(b"\r\n"), value.strip()}
        if len(value.strip()) < MIN_VALUE_BYTES:
            continue
        forms = (form for text in texts for form in _text_forms(text))
        encoded = (form for whole in texts | {value} for form in _encoded_forms(whole))
        found.update(form for form in (*forms, *encoded) if len(form.strip()) >= MIN_VALUE_BYTES)
        lines = (line.strip() for line in value.splitlines())
        found.update(line for line in lines if len(line) >= MIN_LINE_BYTES)
    return frozenset(found)


def _text_forms(value: bytes) -> Iterator[bytes]:
    yield value
    yield from _shell_forms(value)
    if b"\n" in value:
        yield value.replace(b"\n", b"\r\n")


def _encoded_forms(value: bytes) -> Iterator[bytes]:
    yield from _base64_forms(value)
    yield from _url_forms(value)
    yield from _json_forms(value)


def _base64_forms(value: bytes) -> Iterator[bytes]:
    """Base64 of a text that contains the value.

    Three bytes become four characters, so the value may begin at one of three positions of such a group. Characters
    that also depend on the bytes around the value are left out; where the text ends with the value, its last
    characters and the padding are known too. Programs wrap long output after 76 characters.
    """
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        for shift, skipped in ((0, 0), (1, 2), (2, 3)):
            encoded = encode(bytes(shift) + value)
            known = (shift + len(value)) * 8 // 6
            yield encoded[skipped:known]
            yield encoded[skipped:]
            yield encoded.rstrip(b"=")[skipped:]
    encoded = base64.standard_b64encode(value)
    if len(encoded) > _BASE64_LINE:
        pieces = (encoded[at : at + _BASE64_LINE] for at in range(0, len(encoded), _BASE64_LINE))
        yield from (piece for piece in pieces if len(piece) >= MIN_LINE_BYTES)


def _url_forms(value: bytes) -> Iterator[bytes]:
    for quoted in (quote(value, safe=""), quote(value), quote_plus(value), quote(value, safe="!~*'()")):
        yield quoted.encode()
        yield _lower_escapes(quoted).encode()


def _lower_escapes(quoted: str) -> str:
    first, *rest = quoted.split("%")
    return "%".join([first, *(each[:2].lower() + each[2:] for each in rest)])


def _json_forms(value: bytes) -> Iterator[bytes]:
    text = value.decode("utf-8", "surrogateescape")
    for ascii_only in (True, False):
        quoted = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        for each in (quoted, quoted.replace("/", "\\/"), _html_safe(quoted)):
            yield each.encode("utf-8", "surrogateescape")


def _html_safe(quoted: str) -> str:
    """JSON as Go writes it."""
    for character in "<>&":
        quoted = quoted.replace(character, f"\\u{ord(character):04x}")
    return quoted


def _shell_forms(value: bytes) -> Iterator[bytes]:
    text = value.decode("utf-8", "surrogateescape")
    forms = {
        text.replace("'", "'\"'\"'"),
        text.replace("'", "'\\''"),
        _escaped(text, '\\"$`'),
        _escaped(text, '\\"$`!'),
        "".join(each if shlex.quote(each) == each or each == "\n" else f"\\{each}" for each in text),
        _escaped(text, "\\'").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r"),
    }
    for form in forms:
        yield form.encode("utf-8", "surrogateescape")


def _escaped(text: str, characters: str) -> str:
    return "".join(f"\\{each}" if each in characters else each for each in text)
