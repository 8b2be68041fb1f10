r"""Undoes the escapes of a text, whichever of its characters are escaped. Pure.

A `Notation` is one way to escape: with backslashes (JSON, C, Python, shells), percent signs (URLs; in forms with
`+` for blanks), character references (XML, HTML), doubled single quotes (YAML, SQL, and `'\''` of shells) or double
ones (CSV). Undoing takes long compared to searching, so a notation says first whether it is needed: what no secret
contains stays escaped, and backslashes and quotes matter only if a secret is found when all of them are removed.

`\xe9` is a byte to C and to shells, and the character U+00E9 to Python and JavaScript, which write it beside
characters in UTF-8. So backslashes are undone in both ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ahocorasick_rs import BytesAhoCorasick, Implementation

from controller.logs.masking.control_sequences import compile_re2
from controller.logs.masking.views import View, replaced_view

_LETTERS = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b"e": 27, b"E": 27}
_NUMERIC = (
    rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}"
    rb"|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|[0-7]{1,2}"
)
# Those of bytes that are characters of Latin-1, but not of ASCII.
_HIGH_NUMERIC = compile_re2(rb"\\(?:x[89a-fA-F]|[23][0-7]{2})")
# The first bytes of these characters in UTF-8.
_LATIN_1_LEADS = b"\xc2\xc3"
# Those of control characters beyond ASCII, and of the characters that `control_sequences` removes.
_INVISIBLE_DIGITS = (
    rb"00[89aA][0-9a-fA-F]|034[fF]|06(?:0[0-5]|1[cC]|[dD][dD])|070[fF]|08(?:9[01]|[eE]2)|180[b-fB-F]"
    rb"|20(?:0[b-fB-F]|2[89a-eA-E]|6[0-9a-fA-F])|[fF][eE](?:0[0-9a-fA-F]|[fF][fF])|[fF]{3}[9a-bA-B]"
)
_CONTINUATION = rb"\n[ \t]{0,64}"
_INCOMPLETE_BACKSLASH = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?|u[0-9a-fA-F]{0,3}"
    rb"|u\{[0-9a-fA-F]{0,6}|U[0-9a-fA-F]{0,7}|x[0-9a-fA-F]?|[0-7]{1,2}|\n[ \t]{0,63})?\Z"
)
_NAMED = {b"&amp;": b"&", b"&lt;": b"<", b"&gt;": b">", b"&quot;": b'"', b"&apos;": b"'"}
_REFERENCE = rb"&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});"
_QUOTES = rb"""'\\''|'"'"'|''"""
_QUOTE_SIGNS = (rb"'\''", b"""'"'"'""", b"''")
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
    FORM = "form"
    BACKSLASH = "backslash"
    CHARACTER = "character"
    REFERENCE = "reference"
    QUOTE = "quote"
    DOUBLED = "doubled"


class _Decoder(dict[bytes, bytes]):
    """What escapes stand for; remembers those it has seen."""

    def __init__(self, decode: Callable[[bytes], bytes]) -> None:
        self._decode = decode

    def __missing__(self, escape: bytes) -> bytes:
        if len(self) >= _MAX_REMEMBERED:
            self.clear()
        decoded = self[escape] = self._decode(escape)
        return decoded


class _ReducedHeads:
    """What the secrets have in one piece, without backslashes and quotes: their beginnings, or a word of each.

    Remembers the last text, because several notations ask for it.
    """

    def __init__(self, heads: set[bytes]) -> None:
        self._automaton = BytesAhoCorasick(sorted(heads), implementation=Implementation.DFA)
        self._last: tuple[bytes, bool] = b"", False

    def are_in(self, text: bytes) -> bool:
        """Whether one is in the text without its backslashes and quotes."""
        last, found = self._last
        if last is not text:
            reduced = text.translate(None, _QUOTING)
            found = bool(self._automaton.find_matches_as_indexes(reduced, overlapping=True))
            self._last = text, found
        return found


@dataclass(frozen=True)
class Notation:
    """A way to escape. `incomplete` matches what some data may cut off at its end."""

    kind: Kind
    signs: tuple[bytes, ...]
    """A text with escapes has one of these."""
    escape: re.Pattern[bytes]
    incomplete: re.Pattern[bytes]
    relevant: Any = None
    """An expression of RE2, which is ten times as fast, for the escapes to look for; None for none."""
    reduced: _ReducedHeads | None = None
    """The beginnings of the secrets without backslashes and quotes."""
    also: bytes = b""
    """Without this in a text there is no reason to undo its escapes."""
    only: Any = None
    """Without a match of this expression of RE2 there is none either."""

    def is_needed(self, text: bytes) -> bool:
        """Whether a secret may be in the text without its escapes that is not in the text."""
        if not self.is_present(text):
            return False
        if self.relevant is not None and self.relevant.search(text) is not None:
            return True
        return self.reduced is not None and self.reduced.are_in(text)

    def is_present(self, text: bytes) -> bool:
        """Whether there may be escapes in the text."""
        if self.also not in text or not any(sign in text for sign in self.signs):
            return False
        return self.only is None or self.only.search(text) is not None

    def unescape(self, text: bytes) -> bytes:
        """The text without escapes."""
        decoded = _Decoder(self._decode)
        return self.escape.sub(lambda match: decoded[match[0]], text)

    def view(self, text: bytes, data: bytes) -> View:
        """The text that is the data without escapes, with positions."""
        decoded = _Decoder(self._decode)
        matches = self.escape.finditer(data)
        return replaced_view(text, ((match.span(), len(decoded[match[0]])) for match in matches))

    def _decode(self, escape: bytes) -> bytes:
        return _decode_character(escape) if self.kind is Kind.CHARACTER else _decode(escape)

    def incomplete_start(self, text: bytes) -> int:
        """Where an escape begins that the text may cut off; the text's length if there is none."""
        begin = max(0, len(text) - _TAIL_BYTES)
        if not any(sign[:1] in text[begin:] for sign in self.signs):
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
    heads = {_unfolded_head(each) for each in texts if not each.isalnum()} - {b""}
    reduced = _ReducedHeads(heads) if heads else None
    letters = b"".join(sorted(letter for letter, code in _LETTERS.items() if code in used or code == 27))
    numeric = rb"\\(?:" + _relevant_numeric(used) + rb"|\n|[" + letters + rb"])"
    percent = re.compile(rb"%[0-9a-fA-F]?\Z"), compile_re2(_percent(used))
    # What is within another notation may have the one that decides whether a secret is found.
    backslash = compile_re2(numeric + rb"|\\&|" + _REFERENCE)
    quoting = compile_re2(numeric), reduced
    backslashes = (b"\\",), _backslash(used, letters), _INCOMPLETE_BACKSLASH, backslash, reduced
    return [
        Notation(Kind.BACKSLASH, *backslashes),
        *([Notation(Kind.CHARACTER, *backslashes, only=_HIGH_NUMERIC)] if not used.isdisjoint(_LATIN_1_LEADS) else []),
        Notation(Kind.PERCENT, (b"%",), re.compile(_PERCENT), *percent),
        *([Notation(Kind.FORM, (b"%",), re.compile(_PERCENT + rb"|\+"), *percent, also=b"+")] if 0x20 in used else []),
        Notation(Kind.REFERENCE, (b"&",), re.compile(_REFERENCE), _INCOMPLETE_REFERENCE, compile_re2(_REFERENCE)),
        Notation(Kind.QUOTE, _QUOTE_SIGNS, re.compile(_QUOTES), _INCOMPLETE_QUOTES, *quoting, also=b"'"),
        Notation(Kind.DOUBLED, (_DOUBLED,), re.compile(_DOUBLED), re.compile(rb'"\Z'), *quoting),
    ]


def _unfolded_head(secret: bytes) -> bytes:
    """The beginning of a secret, or of its longest word: a blank may be folded into a line break."""
    reduced = secret.translate(None, _QUOTING)
    return max(reduced.split(b" "), key=len)[:_HEAD_BYTES]


def every_notation() -> list[Notation]:
    """The notations, for texts of which nothing is known."""
    found = notations([bytes(range(256))])
    return [replace(each, relevant=compile_re2(each.escape.pattern), reduced=None) for each in found]


def _backslash(used: frozenset[int], letters: bytes) -> re.Pattern[bytes]:
    # Nothing escapes a letter or a digit in this way.
    others = {code for code in used if code != 0x0A and not bytes([code]).isalnum()}
    singles = letters + re.escape(bytes(sorted(others | set(_MARKUP))))
    return re.compile(rb"\\(?:" + _NUMERIC + rb"|" + _CONTINUATION + rb"|[" + singles + rb"])")


def _percent(used: frozenset[int]) -> bytes:
    return rb"%(?:" + _digits_of(_relevant(used)) + rb")"


def _relevant(used: frozenset[int]) -> frozenset[int]:
    """The bytes to look for in escapes: those of secrets, of other escapes, and control characters."""
    return used | frozenset(b"%&\\'\"") | frozenset(range(0x20)) | {0x7F}


def _digits_of(codes: Iterable[int]) -> bytes:
    """An expression for the two hexadecimal digits of these bytes."""
    found: dict[str, set[str]] = {}
    for code in codes:
        first, second = tuple(f"{code:02x}")
        found.setdefault(f"{first}{first.upper()}", set()).update((second, second.upper()))
    return "|".join(f"[{first}][{''.join(sorted(seconds))}]" for first, seconds in sorted(found.items())).encode()


def _relevant_numeric(used: frozenset[int]) -> bytes:
    r"""The numeric escapes to look for: JSON often has others, such as `\u2026`, which no secret has."""
    relevant = _relevant(used)
    ascii_digits = _digits_of(code for code in relevant if code < 0x80)
    beyond = rb"[0-9a-fA-F]{4}" if any(code >= 0x80 for code in used) else _INVISIBLE_DIGITS
    return (
        rb"u00(?:" + ascii_digits + rb")|u(?:" + beyond + rb")|u[dD][89a-fA-F][0-9a-fA-F]{2}|u\{|U[0-9a-fA-F]{8}"
        rb"|x(?:" + _digits_of(relevant | set(range(0x80, 0x100))) + rb")|[0-7]"
    )


def _decode(escape: bytes) -> bytes:
    first, kind = escape[:1], escape[1:2]
    if first == b"+":
        return b" "
    if first == b"%":
        return bytes([int(escape[1:], 16)])
    if first == b"&":
        if escape in _NAMED:
            return _NAMED[escape]
        return _character(int(escape[3:-1], 16) if escape[2:3] in b"xX" else int(escape[2:-1]))
    return _decode_backslash(escape[1:], kind) if first == b"\\" else first


def _decode_character(escape: bytes) -> bytes:
    decoded = _decode(escape)
    is_number = escape[1:2] in b"x01234567"
    return decoded.decode("latin-1").encode() if is_number else decoded


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
