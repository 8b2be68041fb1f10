"""Random secrets: words, sentences, binary, texts of many lines, documents, and some made of each other."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass

MIN_BYTES = 4
MIN_MEMBER_BYTES = 8

_ALPHANUMERIC = string.ascii_letters + string.digits
_SPECIAL = _ALPHANUMERIC + "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ "
_QUOTES = _ALPHANUMERIC[:20] + "'\"\\'\"$`"
_LETTERS = "äöüßéñ日本語😀" + _ALPHANUMERIC
# With some that Python writes as `\xa0` beside others that it writes as they are.
_LATIN = "äöÿéñ×\u00a0\u00a0" + _ALPHANUMERIC[:12]
_ESCAPES = ("%41", "%2f", "\\n", "\\x41", "\\u0041", "&amp;", "&#65;", "''", '""', "\\\\", "%25")


@dataclass(frozen=True)
class Secret:
    """A value, and the texts that are masked because of it: itself, or a member of it."""

    value: bytes
    targets: tuple[bytes, ...]


def secrets(chance: random.Random, count: int) -> list[Secret]:
    """Some secrets; later ones may be made of earlier ones."""
    found = [Secret(b"a-single-secret", (b"a-single-secret",))]
    while len(found) <= count:
        if chance.random() < 0.15:
            found.append(chance.choice(_DOCUMENTS)(chance))
            continue
        value = _overlapping(chance, found) if chance.random() < 0.2 else chance.choice(_VALUES)(chance)
        if value.strip() == value and len(value) >= MIN_BYTES:
            found.append(Secret(value, (value,)))
    return found[1:]


def _text_of(chance: random.Random, letters: str, longest: int, least: int = MIN_BYTES) -> str:
    return "".join(chance.choices(letters, k=chance.randint(least, longest)))


def _word(chance: random.Random) -> bytes:
    return _text_of(chance, _ALPHANUMERIC, chance.choice((8, 40))).encode()


def _special(chance: random.Random) -> bytes:
    return _text_of(chance, _SPECIAL, 30).strip().encode()


def _quotes(chance: random.Random) -> bytes:
    return _text_of(chance, _QUOTES, 16, 8).encode()


def _digits(chance: random.Random) -> bytes:
    return _text_of(chance, string.digits, 16, 6).encode()


def _sentence(chance: random.Random) -> bytes:
    return " ".join(_text_of(chance, string.ascii_lowercase, 9, 2) for _ in range(chance.randint(2, 8))).encode()


def _unicode(chance: random.Random) -> bytes:
    return _text_of(chance, _LETTERS, 12).encode()


def _latin(chance: random.Random) -> bytes:
    return _text_of(chance, _LATIN, 16).encode()


def _binary(chance: random.Random) -> bytes:
    value = bytes(chance.choice([*range(1, 9), 27, *range(0x20, 0x100)]) for _ in range(chance.randint(8, 40)))
    # A terminal shows the next character in place of the one before a backspace, so it is masked with the value.
    return value.rstrip(b"\b") + b"B" if value.endswith(b"\b") else value


def _looks_escaped(chance: random.Random) -> bytes:
    pieces = [chance.choice((_text_of(chance, _ALPHANUMERIC, 6), chance.choice(_ESCAPES))) for _ in range(4)]
    return f"k{''.join(pieces)}z9Q".encode()


def _many_lines(chance: random.Random) -> bytes:
    lines = [_text_of(chance, _ALPHANUMERIC + "+/=", 64) for _ in range(chance.randint(2, 5))]
    return "\n".join(f"{line}12345678"[:64] for line in lines).encode()


_VALUES = (
    _word,
    _word,
    _special,
    _special,
    _quotes,
    _digits,
    _sentence,
    _unicode,
    _latin,
    _binary,
    _looks_escaped,
    _many_lines,
)


def _overlapping(chance: random.Random, earlier: Sequence[Secret]) -> bytes:
    """Made of what others are made of: their end, their beginning, or all of them and more."""
    one, other = chance.choice(earlier).value, chance.choice(earlier).value
    cut = chance.randint(1, len(one))
    value = chance.choice((one[cut:] + other, one + b"x1", one[:cut] + other, one + one[:cut], one[: max(4, cut)]))
    return value if value.isascii() and len(value) < 100 and b"\n" not in value else _word(chance)


def _member(chance: random.Random) -> bytes:
    return _text_of(chance, _ALPHANUMERIC, 40, MIN_MEMBER_BYTES).encode() + b"Q1"


def _json_document(chance: random.Random) -> Secret:
    members = [_member(chance), _special(chance) + b"-Zz9xQ1", _many_lines(chance)]
    inner = json.dumps({"token": members[1].decode()})
    document = json.dumps({"id": members[0].decode(), "list": [{"key": members[2].decode()}], "inner": inner})
    return Secret(document.encode(), tuple(members))


def _yaml_document(chance: random.Random) -> Secret:
    members = [b"x" + _member(chance), b"y" + _member(chance)]
    return Secret(b"users:\n- name: j\n  token: " + members[0] + b"\nother: '" + members[1] + b"'\n", tuple(members))


def _env_document(chance: random.Random) -> Secret:
    members = [b"x" + _member(chance), b"y" + _member(chance)]
    return Secret(b'export A=b\nTOKEN="' + members[0] + b'"\nPASS=' + members[1] + b"\n", tuple(members))


def _pem_document(chance: random.Random) -> Secret:
    body = base64.standard_b64encode(chance.randbytes(chance.randint(60, 200)))
    lines = b"\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return Secret(b"-----BEGIN PRIVATE KEY-----\n" + lines + b"\n-----END PRIVATE KEY-----\n", (body,))


def _address(chance: random.Random) -> Secret:
    member = _member(chance)
    return Secret(b"postgres://app:" + member + b"@db.internal:5432/main", (member,))


_DOCUMENTS = (_json_document, _yaml_document, _env_document, _pem_document, _address)
