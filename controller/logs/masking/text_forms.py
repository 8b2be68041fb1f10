"""How programs write a text: quoted for a shell, for JSON, XML, YAML, a URL, or with escapes. Pure.

Each function yields the whole text in one notation; forms that are equal to another are removed by the caller.
"""

import html
import json
import shlex
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import yaml

_MAX_YAML_BYTES = 4096
_MIN_CASED_BYTES = 8
_NAMED = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}


def text_forms(value: bytes) -> Iterator[bytes]:
    """The value in every notation for text."""
    yield value
    yield from _case_forms(value)
    yield from _url_forms(value)
    yield from _json_forms(value)
    yield from _markup_forms(value)
    yield from _shell_forms(value)
    yield from _escape_forms(value)
    yield from _yaml_forms(value)


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _case_forms(value: bytes) -> Iterator[bytes]:
    """Programs that normalize names, headers or keys change the case."""
    if len(value) >= _MIN_CASED_BYTES:
        yield value.lower()
        yield value.upper()


def _url_forms(value: bytes) -> Iterator[bytes]:
    """Percent-encoding (RFC 3986), also of each byte, also of a text that is encoded already."""
    every = "".join(f"%{byte:02X}" for byte in value)
    for quoted in (quote(value, safe=""), quote(value), quote_plus(value), quote(value, safe="!~*'()"), every):
        for once in (quoted, _lower_escapes(quoted)):
            yield once.encode()
            yield once.replace("%", "%25").encode()


def _lower_escapes(quoted: str) -> str:
    first, *rest = quoted.split("%")
    return "%".join([first, *(each[:2].lower() + each[2:] for each in rest)])


def _json_forms(value: bytes) -> Iterator[bytes]:
    """A JSON string (RFC 8259), and a JSON string within a JSON string, up to twice."""
    text = _decode(value)
    for ascii_only in (True, False):
        quoted = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        forms = {quoted, quoted.replace("/", "\\/"), _html_safe(quoted), _upper_escapes(quoted)}
        for form in forms:
            for _ in range(3):
                yield _encode(form)
                form = json.dumps(form, ensure_ascii=False)[1:-1]
    yield "".join(f"\\u{ord(each):04x}" for each in text).encode()


def _html_safe(quoted: str) -> str:
    """JSON as Go writes it."""
    for character in "<>&":
        quoted = quoted.replace(character, f"\\u{ord(character):04x}")
    return quoted


def _upper_escapes(quoted: str) -> str:
    first, *rest = quoted.split("\\u")
    return "\\u".join([first, *(each[:4].upper() + each[4:] for each in rest)])


def _markup_forms(value: bytes) -> Iterator[bytes]:
    """XML and HTML: the five characters in their usual notations, and numeric references."""
    text = _decode(value)
    basic = html.escape(text, quote=False)
    for double in ('"', "&quot;", "&#34;", "&#x22;"):
        for single in ("'", "&apos;", "&#39;", "&#x27;"):
            form = basic.replace('"', double).replace("'", single)
            yield _encode(form)
            yield form.encode("ascii", "xmlcharrefreplace")
    yield _encode(basic.replace(">", "&gt;").replace("&gt;", ">"))
    yield _encode(html.escape(html.escape(text)))
    yield "".join(f"&#{ord(each)};" for each in text).encode()
    for digits in ("x", "X"):
        yield "".join(f"&#x{ord(each):{digits}};" for each in text).encode()


def _shell_forms(value: bytes) -> Iterator[bytes]:
    text = _decode(value)
    yield from map(
        _encode,
        {
            text.replace("'", "'\"'\"'"),
            text.replace("'", "'\\''"),
            _escaped(text, '\\"$`'),
            _escaped(text, '\\"$`!'),
            "".join(each if shlex.quote(each) == each or each == "\n" else f"\\{each}" for each in text),
            _escaped(text, "\\'").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r"),
            text.replace("'", "''"),
            text.replace('"', '""'),
        },
    )


def _escaped(text: str, characters: str) -> str:
    return "".join(f"\\{each}" if each in characters else each for each in text)


def _escape_forms(value: bytes) -> Iterator[bytes]:
    r"""Backslash escapes: `$'…'` of shells (also in `set -x`), C, Python, and each byte as `\x68` or `\150`."""
    for quotes in (b"'", b'"', b"", b"'\""):
        for form in ("\\{:03o}", "\\x{:02x}", "\\x{:02X}"):
            for named in (_NAMED, _NAMED | {27: "\\E"}, _NAMED | {27: "\\e"}, {9: "\\t", 10: "\\n", 13: "\\r"}):
                yield _byte_escapes(value, quotes, form, named, ascii_only=True)
                yield _byte_escapes(value, quotes, form, named, ascii_only=False)
    text = _decode(value)
    yield _encode(repr(text)[1:-1])
    yield ascii(text)[1:-1].encode()
    yield repr(value)[2:-1].encode()
    for form in ("\\x{:02x}", "\\x{:02X}", "\\{:03o}", "\\0{:03o}"):
        yield "".join(map(form.format, value)).encode()


def _byte_escapes(value: bytes, quotes: bytes, form: str, named: dict[int, str], *, ascii_only: bool) -> bytes:
    out = bytearray()
    for byte in value:
        if byte in named:
            out += named[byte].encode()
        elif byte == 0x5C or byte in quotes:
            out += bytes((0x5C, byte))
        elif byte < 0x20 or byte == 0x7F or (ascii_only and byte >= 0x80):
            out += form.format(byte).encode()
        else:
            out.append(byte)
    return bytes(out)


def _yaml_forms(value: bytes) -> Iterator[bytes]:
    """A double-quoted scalar of YAML; the single-quoted one is among the forms for shells."""
    text = _decode(value)
    if len(value) > _MAX_YAML_BYTES or "\\" in text or (text.isascii() and text.isprintable()):
        return
    try:
        for unicode in (True, False):
            written = yaml.dump(text, default_style='"', allow_unicode=unicode, width=1 << 30, Dumper=yaml.SafeDumper)
            yield _encode(written.strip()[1:-1])
    except (yaml.YAMLError, UnicodeError):
        # Text that is not Unicode has no such form.
        return
