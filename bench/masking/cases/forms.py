"""The forms in which a log may have a secret."""

from __future__ import annotations

import base64
import json
import random
import unicodedata
from collections.abc import Callable, Sequence

from bench.masking.cases.dumps import dump
from bench.masking.cases.notations import NOTATIONS, decoded
from bench.masking.cases.parts import Fate, Part, Parts, either, hidden, kept

Form = Callable[[random.Random, bytes], "Parts | None"]
"""Writes a secret; None if it is not one that is written so."""

MIN_LINE_BYTES = 8
MIN_CASED_BYTES = 8
MIN_WRAPPED_CHARACTERS = 12
MIN_HEAD = 4
MIN_RUN = 16
MIN_TWICE_BYTES = 8
MIN_FOLDED_BYTES = 12

_UNSEEN = tuple(
    each.encode()
    for each in (
        "\x1b[31m",
        "\x1b[0m",
        "\x1b[K",
        "\x1b[01;31m\x1b[K",
        "\x1b[38;2;1;2;3m",
        "\x1b]8;;http://x\x1b\\",
        "\x1b]0;t\x07",
        "\x1bP1$r\x1b\\",
        "\x1b(B",
        "\u009b1m",
        "\u200b",
        "\u2060",
        "\u00ad",
        "\ufeff",
        "\ufe0f",
        "\x07",
        "\x00",
        "\r",
    )
)


def _plain(_: random.Random, value: bytes) -> Parts:
    return hidden(value)


def _one_line(chance: random.Random, value: bytes) -> Parts | None:
    lines = [line for line in value.split(b"\n") if len(line.strip()) >= MIN_LINE_BYTES and line == line.strip()]
    return hidden(chance.choice(lines)) if lines and b"\n" in value else None


def _carriage_returns(_: random.Random, value: bytes) -> Parts | None:
    return hidden(value.replace(b"\n", b"\r\n")) if b"\n" in value else None


def _folded(chance: random.Random, value: bytes) -> Parts | None:
    """With a line break for a blank, as YAML and `fmt` fold a text."""
    blanks = [at for at in range(1, len(value) - 1) if value[at - 1 : at + 2].count(b" ") == 1 and value[at] == 0x20]
    if not blanks or len(value) < MIN_FOLDED_BYTES or b"\n" in value:
        return None
    at = chance.choice(blanks)
    return hidden(value[:at] + b"\n" + b" " * chance.randint(0, 8) + value[at + 1 :])


def _other_case(chance: random.Random, value: bytes) -> Parts | None:
    return hidden(chance.choice((bytes.upper, bytes.lower))(value)) if len(value) >= MIN_CASED_BYTES else None


def _notation(chance: random.Random, value: bytes) -> Parts | None:
    """In a notation for text, which may be within another one."""
    text: bytes | None = value
    for notations in chance.choice(NOTATIONS):
        text = chance.choice(notations)(chance, text) if text is not None else None
    return None if text is None else hidden(text)


def _decorated(chance: random.Random, value: bytes) -> Parts | None:
    """With colours, links, and characters that a reader doesn't see, anywhere within."""
    text = decoded(value)
    if text is None or len(text) < 2:
        return None
    letters = [each.encode() for each in text]
    for _ in range(chance.randint(1, 4)):
        letters.insert(chance.randint(1, len(letters) - 1), chance.choice(_UNSEEN))
    if "\n" not in text:
        return hidden(b"".join(letters))
    # What is inserted beside a line break may stay.
    return [Part(each, Fate.EITHER if each in _UNSEEN else Fate.MASK) for each in letters]


def _backspaces(chance: random.Random, value: bytes) -> Parts | None:
    if not value.isascii() or not value.decode().isprintable():
        return None
    at = chance.randint(1, len(value) - 1)
    return hidden(value[:at] + "Ж\b".encode() + value[at:])


def _charset(chance: random.Random, value: bytes) -> Parts | None:
    text = decoded(value)
    if text is None or "\n" in text:
        return None
    kind = chance.randint(0, 3)
    if kind == 0:
        encoded = text.encode(chance.choice(("utf-16-le", "utf-16-be")))
        # NUL is not seen; at the ends it may stay.
        return (
            either(b"\0" * (encoded[:1] == b"\0"))
            + hidden(encoded.strip(b"\0"))
            + either(b"\0" * (encoded[-1:] == b"\0"))
        )
    if kind == 1:
        return hidden(text.encode("latin-1")) if all(each < "\u0100" for each in text) else None
    return hidden(unicodedata.normalize(chance.choice(("NFC", "NFD")), text).encode())


def _octal_of_echo(_: random.Random, value: bytes) -> Parts:
    return hidden(b"".join(b"\\0%03o" % each for each in value))


def _caret(_: random.Random, value: bytes) -> Parts:
    """As `cat -v` writes it."""
    out = b""
    for each in value:
        low = each & 0x7F
        out += b"M-" if each >= 0x80 else b""
        if each in b"\t\n" or 0x20 <= low < 0x7F:
            out += bytes([low])
        else:
            out += b"^?" if low == 0x7F else b"^" + bytes([low + 0x40])
    return hidden(out)


def _encoded(chance: random.Random, value: bytes, before: bytes, after: bytes) -> Parts:
    """Base64 of a text with the value in its midst. Characters that its neighbours have a part in may do either."""
    encode: Callable[[bytes], bytes] = chance.choice((base64.standard_b64encode, base64.urlsafe_b64encode))
    text = encode(before + value + after)
    first_bit, last_bit = len(before) * 8, (len(before) + len(value)) * 8
    begin, end = -(-first_bit // 6), last_bit // 6
    # Six bits of a neighbour may be those that a longer secret has there. If nothing follows, the padding is the
    # secret's too; a document may end with a member and a newline.
    either_end = end + 2 if after.strip() else len(text)
    after_parts = either(text[end:either_end]) + kept(text[either_end:])
    stripped = text[begin:end]
    before_parts = kept(text[: max(0, begin - 2)]) + either(text[max(0, begin - 2) : begin])
    if chance.random() < 0.3:
        after_parts = [Part(each.text.rstrip(b"="), each.fate) for each in after_parts]
    return before_parts + hidden(stripped) + after_parts


def _neighbour(chance: random.Random) -> bytes:
    return chance.choice(
        (b"", b"", "Ж".encode() * chance.randint(1, 3), "Ж".encode()[1:], "Ж:".encode(), b"\n", b"Ab1")
    )


def _base64(chance: random.Random, value: bytes) -> Parts:
    return _encoded(chance, value, _neighbour(chance), _neighbour(chance))


def _base64_of_notation(chance: random.Random, value: bytes) -> Parts | None:
    """Of a JSON document, or of UTF-16 as PowerShell takes it."""
    text = decoded(value)
    if text is None:
        return None
    inner = chance.choice(
        (json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode(), text.encode("utf-16-le"))
    )
    return _encoded(chance, inner, _neighbour(chance), _neighbour(chance))


def _base64_twice(chance: random.Random, value: bytes) -> Parts | None:
    if len(value) < MIN_TWICE_BYTES:
        return None
    once = base64.standard_b64encode(value)
    twice = base64.standard_b64encode(once.rstrip(b"=") if chance.random() < 0.5 else once)
    return hidden(twice.rstrip(b"=")) + either(twice[len(twice.rstrip(b"=")) :])


def _hexadecimal(chance: random.Random, value: bytes) -> Parts:
    digits = value.hex().encode()
    return kept(chance.choice((b"", b"0x"))) + hidden(digits if chance.random() < 0.5 else digits.upper())


def _wrapped(chance: random.Random, value: bytes) -> Parts | None:
    """Base64 or hexadecimal digits in lines of any length from 8 on, maybe indented, maybe within a JSON string."""
    form = chance.choice((_encoded, _encoded, None))
    parts = _hexadecimal(chance, value) if form is None else _encoded(chance, value, *_wrapped_neighbours(chance))
    if sum(len(each.text) for each in parts if each.fate is Fate.MASK) < MIN_WRAPPED_CHARACTERS:
        return None
    width = chance.choice((64, 76, chance.randint(8, 80)))
    line_end = chance.choice((b"\n", b"\n" + b" " * chance.randint(1, 8), b"\n\t", b"\r\n", b"\\n", b"\\r\\n"))
    return _break_lines(parts, width, line_end)


def _wrapped_neighbours(chance: random.Random) -> tuple[bytes, bytes]:
    """Long enough that the value begins in any column."""
    if chance.random() < 0.4:
        return b"", b""
    return "Ж".encode() * chance.randint(0, 45), "Ж".encode() * chance.randint(0, 9)


def _break_lines(parts: Parts, width: int, line_end: bytes) -> Parts:
    """The same text in lines. Of a head of less than four characters, what the line has may do either."""
    characters = [(bytes([each]), part.fate) for part in parts for each in part.text]
    first = next(at for at, (_, fate) in enumerate(characters) if fate is Fate.MASK)
    head = width - first % width
    if head < MIN_HEAD and first + head < len(characters) and width < MIN_RUN:
        characters[first : first + head] = [(text, Fate.EITHER) for text, _ in characters[first : first + head]]
    found: Parts = []
    for at, (text, fate) in enumerate(characters):
        if at and at % width == 0:
            previous = characters[at - 1][1]
            found += kept(line_end) if Fate.KEEP in (previous, fate) else _break(line_end, previous, fate)
        found.append(Part(text, fate))
    return found


def _break(line_end: bytes, *neighbours: Fate) -> Parts:
    """A line break within a secret: a newline stays, what belongs to it may do either."""
    if b"\n" not in line_end:
        return [Part(line_end, Fate.MASK if set(neighbours) == {Fate.MASK} else Fate.EITHER)]
    before, newline, after = line_end.partition(b"\n")
    return either(before) + kept(newline) + either(after)


def _overwritten(chance: random.Random, value: bytes) -> Parts | None:
    """A line of which a part is written again after a carriage return, as a progress bar is."""
    if not value.isascii() or not value.decode().isprintable():
        return None
    at = chance.randint(1, len(value) - 1)
    return hidden("Ж".encode() * at + value[at:] + b"\r" + value[:at])


FORMS: Sequence[Form] = (
    _plain,
    _plain,
    _one_line,
    _carriage_returns,
    _other_case,
    *[_folded] * 3,
    *[_notation] * 8,
    *[_decorated] * 2,
    _charset,
    _octal_of_echo,
    _caret,
    *[_base64] * 3,
    _base64_of_notation,
    _base64_twice,
    _hexadecimal,
    *[_wrapped] * 4,
)
"""Those that may stand anywhere; more often the ones with more variants."""
LINE_FORMS: Sequence[Form] = (dump, dump, _backspaces, _overwritten)
"""Those that have lines of their own."""

FILLERS = tuple(each.encode() for each in ("", "Ж", "Ω Ж", "ЖΩЖΩ", " ", "Ж: ", "\tЖ", '"', "'", "=", "(Ж", "<Ω>"))
"""What may be around a secret."""
