r"""Undoes the escapes of a text, whichever of its characters are escaped. Pure.

A `Notation` is one way to escape: with backslashes (JSON, C, Python, shells), percent signs (URLs), character
references (XML, HTML), doubled single quotes (YAML, SQL, and `'\''` of shells) or double ones (CSV). Undoing takes long
compared to searching, so a notation says first whether it is needed: what no secret contains stays escaped, and
backslashes and quotes matter only if a secret is found when all of them are removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import re2
from ahocorasick_rs import BytesAhoCorasick, Implementation

from controller.logs.masking.views import View, replaced_view

_LETTERS = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b"e": 27, b"E": 27}
_NUMERIC = (
    rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}"
    rb"|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|[0-7]{1,2}"
)
_CONTINUATION = rb"\n[ \t]{0,64}"
_INCOMPLETE_BACKSLASH = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?|u[0-9a-fA-F]{0,3}"
    rb"|u\{[0-9a-fA-F]{0,6}|U[0-9a-fA-F]{0,7}|x[0-9a-fA-F]?|[0-7]{1,2}|\n[ \t]{0,63})?\Z"
)
_NAMED = {b"&amp;": b"&", b"&lt;": b"<", b"&gt;": b">", b"&quot;": b'"', b"&apos;": b"'"}
_REFERENCE = rb"&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});"
_QUOTES = rb"""'\\''|'"'"'|''"""
_DOUBLED = rb'""'
_PERCENT = rb"%[0-9a-fA-F]{2}"
_INCOMPLETE_REFERENCE = re.compile(rb"&[#0-9a-zA-Z]{0,9}\Z")
_INCOMPLETE_QUOTES = re.compile(rb"""'(?:\\'?|"(?:'"?)?)?\Z""")
_MARKUP = b"&;#%'\"\\"
_QUOTING = b"\\'\""
_HEAD_BYTES = 6
_TAIL_BYTES = 256
_MAX_REMEMBERED = 4096


class Kind(Enum):
    """The notations."""

    PERCENT = "percent"
    BACKSLASH = "backslash"
    REFERENCE = "reference"
    QUOTE = "quote"
    DOUBLED = "doubled"


class _Decoder(dict[bytes, bytes]):
    """What escapes stand for; remembers those it has seen."""

    def __missing__(self, escape: bytes) -> bytes:
        if len(self) >= _MAX_REMEMBERED:
            self.clear()
        decoded = self[escape] = _decode(escape)
        return decoded


@dataclass(frozen=True)
class Notation:
    """A way to escape. `incomplete` matches what some data may cut off at its end."""

    kind: Kind
    first: bytes
    """Each escape begins with one of these bytes."""
    escape: re.Pattern[bytes]
    incomplete: re.Pattern[bytes]
    relevant: Any = None
    """An expression of RE2, which is ten times as fast, for the escapes to look for; None for none."""
    reduced: BytesAhoCorasick | None = None
    """The beginnings of the secrets without backslashes and quotes."""

    def is_needed(self, text: bytes) -> bool:
        """Whether a secret may be in the text without its escapes that is not in the text."""
        if not self.is_present(text):
            return False
        if self.relevant is not None and self.relevant.search(text) is not None:
            return True
        return self.reduced is not None and bool(
            self.reduced.find_matches_as_indexes(text.translate(None, _QUOTING), overlapping=True)
        )

    def is_present(self, text: bytes) -> bool:
        """Whether there may be escapes in the text."""
        return any(each in text for each in _singles(self.first))

    def unescape(self, text: bytes) -> bytes:
        """The text without escapes."""
        decoded = _Decoder()
        return self.escape.sub(lambda match: decoded[match[0]], text)

    def view(self, text: bytes, data: bytes) -> View:
        """The text that is the data without escapes, with positions."""
        decoded = _Decoder()
        matches = self.escape.finditer(data)
        return replaced_view(text, ((match.span(), len(decoded[match[0]])) for match in matches))

    def incomplete_start(self, text: bytes) -> int:
        """Where an escape begins that the text may cut off; the text's length if there is none."""
        begin = max(0, len(text) - _TAIL_BYTES)
        if not any(each in text[begin:] for each in _singles(self.first)):
            return len(text)
        for match in self.escape.finditer(text, begin):
            begin = match.end()
            if begin == len(text):
                return match.start() if self.incomplete.match(text, match.start()) is not None else begin
        found = self.incomplete.search(text, begin)
        return len(text) if found is None else found.start()


def notations(secrets: Iterable[bytes]) -> list[Notation]:
    """The notations, for these texts to search for."""
    texts = list(secrets)
    used = frozenset(b"".join(texts))
    heads = {each.translate(None, _QUOTING)[:_HEAD_BYTES] for each in texts if not each.isalnum()} - {b""}
    reduced = BytesAhoCorasick(sorted(heads), implementation=Implementation.DFA) if heads else None
    letters = b"".join(sorted(letter for letter, code in _LETTERS.items() if code in used or code == 27))
    numeric = rb"\\(?:" + _NUMERIC + rb"|\n|[" + letters + rb"])"
    # What is within another notation may have the one that decides whether a secret is found.
    backslash = _re2(numeric + rb"|\\&|" + _REFERENCE)
    return [
        Notation(Kind.BACKSLASH, b"\\", _backslash(used, letters), _INCOMPLETE_BACKSLASH, backslash, reduced),
        Notation(Kind.PERCENT, b"%", re.compile(_PERCENT), re.compile(rb"%[0-9a-fA-F]?\Z"), _re2(_percent(used))),
        Notation(Kind.REFERENCE, b"&", re.compile(_REFERENCE), _INCOMPLETE_REFERENCE, _re2(_REFERENCE)),
        Notation(Kind.QUOTE, b"'", re.compile(_QUOTES), _INCOMPLETE_QUOTES, _re2(numeric), reduced),
        Notation(Kind.DOUBLED, b'"', re.compile(_DOUBLED), re.compile(rb'"\Z'), _re2(numeric), reduced),
    ]


def every_notation() -> list[Notation]:
    """The notations, for texts of which nothing is known."""
    found = notations([bytes(range(256))])
    return [Notation(each.kind, each.first, each.escape, each.incomplete, _re2(each.escape.pattern)) for each in found]


def _re2(pattern: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern, options)


def _singles(text: bytes) -> list[bytes]:
    return [text[at : at + 1] for at in range(len(text))]


def _backslash(used: frozenset[int], letters: bytes) -> re.Pattern[bytes]:
    # Nothing escapes a letter or a digit in this way.
    others = {code for code in used if code != 0x0A and not bytes([code]).isalnum()}
    singles = letters + re.escape(bytes(sorted(others | set(_MARKUP))))
    return re.compile(rb"\\(?:" + _NUMERIC + rb"|" + _CONTINUATION + rb"|[" + singles + rb"])")


def _percent(used: frozenset[int]) -> bytes:
    found: dict[str, set[str]] = {}
    for code in used | set(b"%&\\'\"") | set(range(0x20)) | {0x7F}:
        digits = f"{code:02x}"
        first, second = digits[0], digits[1]
        found.setdefault(f"{first}{first.upper()}", set()).update((second, second.upper()))
    pairs = "|".join(f"[{first}][{''.join(sorted(seconds))}]" for first, seconds in sorted(found.items()))
    return f"%(?:{pairs})".encode()


def _decode(escape: bytes) -> bytes:
    first, kind = escape[:1], escape[1:2]
    if first == b"%":
        return bytes([int(escape[1:], 16)])
    if first == b"&":
        if escape in _NAMED:
            return _NAMED[escape]
        return _character(int(escape[3:-1], 16) if escape[2:3] in b"xX" else int(escape[2:-1]))
    return _decode_backslash(escape[1:], kind) if first == b"\\" else first


def _decode_backslash(text: bytes, kind: bytes) -> bytes:
    if kind in b"01234567":
        return bytes([int(text, 8)])
    if len(text) == 1 and kind != b"\n":
        return bytes([_LETTERS[kind]]) if kind in _LETTERS else kind
    if kind == b"\n":
        return b""
    if kind == b"x":
        return bytes([int(text[1:], 16)])
    if b"\\" in text:
        high, low = int(text[1:5], 16), int(text[7:], 16)
        return _character(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    return _character(int(text[1:].strip(b"{}"), 16))


def _character(code: int) -> bytes:
    """UTF-8; a byte for what Python's `surrogateescape` makes of one that is not UTF-8."""
    if 0xDC80 <= code <= 0xDCFF:
        return bytes([code - 0xDC00])
    return chr(code).encode("utf-8", "surrogatepass") if code <= 0x10FFFF else b"?"
