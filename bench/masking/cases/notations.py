"""How programs write a text: quoted, encoded for a URL, or with escapes."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Sequence

_ALPHANUMERIC = string.ascii_letters + string.digits


def decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _percent(chance: random.Random, value: bytes) -> bytes:
    """Every byte that is not unreserved, and maybe others, with digits in either case."""
    more = chance.choice((0, 0, 0.3, 1))
    keep = set((_ALPHANUMERIC + "-._~" + chance.choice(("", "/", "!*'()"))).encode())
    form = chance.choice((b"%%%02X", b"%%%02x"))
    return b"".join(bytes([each]) if each in keep and chance.random() >= more else form % each for each in value)


def _form_field(chance: random.Random, value: bytes) -> bytes:
    """The same with `+` for every blank."""
    return b"+".join(_percent(chance, each) for each in value.split(b" "))


def _json_text(chance: random.Random, value: bytes) -> bytes | None:
    text = decoded(value)
    if text is None:
        return None
    quoted = json.dumps(text, ensure_ascii=chance.random() < 0.5)[1:-1]
    kind = chance.randint(0, 3)
    if kind == 1:
        return quoted.replace("/", "\\/").encode()
    if kind == 2:
        return "".join(f"\\u{ord(each):04x}" if each in "<>&'+=" else each for each in quoted).encode()
    if kind == 3:
        return "".join(_utf16_escapes(each) if chance.random() < 0.4 else _escaped(each) for each in text).encode()
    return quoted.encode()


def _utf16_escapes(letter: str) -> str:
    units = letter.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _escaped(letter: str) -> str:
    return json.dumps(letter, ensure_ascii=False)[1:-1]


def _c_text(chance: random.Random, value: bytes) -> bytes:
    """A string of C or of `$'…'`: what has no sign of its own, and maybe more, as octal or hexadecimal digits."""
    form = chance.choice((b"\\%03o", b"\\x%02x", b"\\x%02X"))
    more = chance.choice((0, 0, 0.3, 1))
    names = {0x5C: b"\\\\", 9: b"\\t", 10: b"\\n", 13: b"\\r", chance.choice(b"'\"?"): b""}
    names = {code: name or bytes((0x5C, code)) for code, name in names.items()}
    plain = range(0x20, 0x7F if chance.random() < 0.5 else 0x100)
    out = b""
    for each in value:
        if chance.random() < more:
            out += form % each
        elif each in names:
            out += names[each]
        else:
            out += bytes([each]) if each in plain and each != 0x7F else form % each
    return out


def _python_text(chance: random.Random, value: bytes) -> bytes | None:
    text = decoded(value)
    if text is None or chance.random() < 0.4:
        return repr(value)[2:-1].encode()
    return chance.choice((repr, ascii))(text)[1:-1].encode()


def _shell_text(chance: random.Random, value: bytes) -> bytes | None:
    """Within double quotes, or with a backslash before every character that means something."""
    text = decoded(value)
    if text is None or "\n" in text:
        return None
    special = chance.choice(('\\"$`', '\\"$`!', "\\\"$`!'#&()*;<>?[]^{|}~ "))
    return "".join(f"\\{each}" if each in special else each for each in text).encode()


def _markup(chance: random.Random, value: bytes) -> bytes | None:
    text = decoded(value)
    if text is None:
        return None
    numeric = chance.choice(("&#{};", "&#x{:x};", "&#X{:X};"))
    named = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
    table = {each: chance.choice((name, numeric.format(ord(each)))) for each, name in named.items()}
    for each in chance.sample(">\"'", chance.randint(0, 3)):
        del table[each]
    more = chance.choice((0, 0, 0.3, 1))
    return "".join(
        numeric.format(ord(each)) if chance.random() < more and each != "\n" else table.get(each, each) for each in text
    ).encode()


def _quoted(chance: random.Random, value: bytes) -> bytes:
    """Within single quotes of a shell, of YAML or of SQL, or within double quotes of CSV."""
    form = chance.choice(((b"'", b"'\\''"), (b"'", b"'\"'\"'"), (b"'", b"''"), (b'"', b'""')))
    return value.replace(*form)


_BACKSLASHES = (_json_text, _json_text, _c_text, _python_text, _shell_text)
NOTATIONS: Sequence[Sequence[Sequence[Callable[[random.Random, bytes], bytes | None]]]] = (
    *[(_BACKSLASHES,)] * 4,
    *[((_percent, _form_field),)] * 2,
    *[((_markup,),)] * 2,
    *[((_quoted,),)] * 2,
    ((_percent, _form_field), (_percent,)),
    *[(_BACKSLASHES, (_percent, _form_field))] * 2,
    (_BACKSLASHES, _BACKSLASHES),
    (_BACKSLASHES, _BACKSLASHES, _BACKSLASHES),
    ((_markup,), _BACKSLASHES),
    ((_quoted,), _BACKSLASHES),
    ((_markup,), (_markup,)),
    (_BACKSLASHES, (_markup,)),
    (_BACKSLASHES, (_quoted,)),
)
"""Notations within others, the innermost first."""
