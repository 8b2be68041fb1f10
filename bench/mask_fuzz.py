"""Random secrets in random encodings anywhere in a log, cut at every point: none may be seen, nothing else changed.

What has to be hidden is known here because it was put there: no code of the mask is used to say so. Values are words,
binary, texts of many lines, or made of each other, so that they overlap; they are written as they are, in base64
of a longer text at any alignment, broken into lines of any length, as part of a URL, in JSON, XML, with escapes, and
quoted for a shell, with colours and invisible characters within. What surrounds them is of letters that no value has.

python bench/mask_fuzz.py [--cases N] [--seed N]
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import re
import shlex
import string
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from controller.logs.masking.mask import SecretMasker, SecretPatterns

_FILLER = ("Ж", "Ω", "Ж\n", "\n", "ЖΩЖΩ")
_UNSEEN = tuple(
    each.encode()
    for each in (
        "\x1b[31m",
        "\x1b[0m",
        "\x1b[K",
        "\x1b]8;;http://x\x1b\\",
        "\x1b]0;t\x07",
        "\u200b",
        "\u2060",
        "\ufeff",
        "\x07",
        "\r",
    )
)
_WORDS = string.ascii_letters + string.digits
_SPECIAL = _WORDS + "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ "
_LETTERS = "äöüßéñ日本語😀" + _WORDS
_LEAST = 4
_LEAST_LINE = 8
_BASE64_LINE = 76
_BYTE_BY_BYTE = 0.1


@dataclass(frozen=True)
class Case:
    """`expected` is what the output has to match as a whole."""

    secrets: tuple[bytes, ...]
    text: bytes
    expected: re.Pattern[bytes]


@dataclass(frozen=True)
class Piece:
    """What is written, and what may come out of it."""

    text: bytes
    expected: bytes
    """A regular expression."""


# -- values


def _values(chance: random.Random) -> list[bytes]:
    found: list[bytes] = []
    for _ in range(chance.randint(1, 4)):
        kind = chance.choice((_word, _word, _special, _unicode, _binary, _many_lines, _overlapping))
        value = kind(chance, found)
        if value.strip() == value and len(value) >= _LEAST:
            found.append(value)
    return found or [b"a-single-secret"]


def _text_of(chance: random.Random, letters: str, longest: int) -> str:
    return "".join(chance.choices(letters, k=chance.randint(_LEAST, longest)))


def _word(chance: random.Random, _: list[bytes]) -> bytes:
    return _text_of(chance, _WORDS, 40).encode()


def _special(chance: random.Random, _: list[bytes]) -> bytes:
    return _text_of(chance, _SPECIAL, 30).strip().encode()


def _unicode(chance: random.Random, _: list[bytes]) -> bytes:
    return _text_of(chance, _LETTERS, 12).encode()


def _binary(chance: random.Random, _: list[bytes]) -> bytes:
    return bytes(chance.choice([*range(1, 9), *range(0x80, 0x100)]) for _ in range(chance.randint(8, 40)))


def _many_lines(chance: random.Random, _: list[bytes]) -> bytes:
    lines = [_text_of(chance, _WORDS + "+/=", 64) for _ in range(chance.randint(2, 5))]
    return "\n".join(f"{line}12345678"[:64] for line in lines).encode()


def _overlapping(chance: random.Random, earlier: list[bytes]) -> bytes:
    """Made of what others are made of: their end, their beginning, or all of them and more."""
    if not earlier:
        return _word(chance, earlier)
    one, other = chance.choice(earlier), chance.choice(earlier)
    cut = chance.randint(1, len(one))
    value = chance.choice((one[cut:] + other, one + b"x1", one[:cut] + other, one + one[:cut]))
    return value if value.isascii() and b"\n" not in value else _word(chance, earlier)


# -- how they are written


def _hidden(text: bytes) -> Piece:
    """Stars for each line that has anything; neighbours that do not overlap have stars of their own."""
    return Piece(text, b"\n".join(rb"(?:\*\*\*)+" if line else b"" for line in text.split(b"\n")))


def _plain(chance: random.Random, value: bytes) -> Piece:
    return _hidden(value)


def _one_line(chance: random.Random, value: bytes) -> Piece:
    lines = [line for line in value.split(b"\n") if len(line.strip()) >= _LEAST_LINE and line == line.strip()]
    return _hidden(chance.choice(lines) if lines and b"\n" in value else value)


def _base64(chance: random.Random, value: bytes) -> Piece:
    """Of a text with the value in its midst. Characters that its neighbours have a part in may stay or go."""
    before, after = b"\xd0\x96" * chance.randint(0, 4), b"\xd0\x96" * chance.randint(0, 4)
    before, after = before[chance.randint(0, 1) :], after[: max(0, len(after) - chance.randint(0, 1))]
    encode: Callable[[bytes], bytes] = chance.choice((base64.standard_b64encode, base64.urlsafe_b64encode))
    text = encode(before + value + after)
    if chance.random() < 0.3:
        text = text.rstrip(b"=")
    first_bit, last_bit = len(before) * 8, (len(before) + len(value)) * 8
    kept_before, kept_after = first_bit // 6, -(-last_bit // 6)
    mixed_before, mixed_after = -(-first_bit // 6), last_bit // 6
    head, tail = text[:kept_before], text[kept_after:]
    if not after:
        # Nothing follows: the padding is the value's too.
        tail, mixed_end = b"", text[mixed_after:]
    else:
        mixed_end = text[mixed_after:kept_after]
    # Six bits of a neighbour may be those that a longer value has there: then it looks as if that one were meant.
    return Piece(
        text,
        re.escape(head[:-1])
        + _maybe(head[-1:])
        + _maybe(text[kept_before:mixed_before])
        + rb"(?:\*\*\*)+"
        + b"".join(_maybe(bytes([each])) for each in mixed_end + tail[:1])
        + re.escape(tail[1:]),
    )


def _maybe(text: bytes) -> bytes:
    return b"(?:" + re.escape(text) + b")?" if text else b""


def _base64_lines(chance: random.Random, value: bytes) -> Piece:
    """As the program `base64` writes it; the end of a long one may be too short to be told from other text."""
    encoded = base64.standard_b64encode(value)
    lines = [encoded[at : at + _BASE64_LINE] for at in range(0, len(encoded), _BASE64_LINE)]
    pieces = [rb"(?:\*\*\*)+" if len(line) >= _LEAST_LINE or len(lines) == 1 else rb".*" for line in lines]
    return Piece(b"\n".join(lines), b"\n".join(pieces))


def _url(chance: random.Random, value: bytes) -> Piece:
    keep = set((_WORDS + "-._~").encode())
    form = "%{:02X}" if chance.random() < 0.5 else "%{:02x}"
    text = b"".join(bytes([each]) if each in keep else form.format(each).encode() for each in value)
    if chance.random() < 0.3:
        text = text.replace(b"%20", b"+")
    return _hidden(text)


def _json(chance: random.Random, value: bytes) -> Piece:
    try:
        words = value.decode()
    except UnicodeDecodeError:
        return _hidden(value)
    text = json.dumps(words, ensure_ascii=chance.random() < 0.5)[1:-1]
    return _hidden(text.encode())


def _shell(chance: random.Random, value: bytes) -> Piece:
    try:
        words = value.decode()
    except UnicodeDecodeError:
        return _hidden(value)
    if chance.random() < 0.5:
        quoted = shlex.quote(words)
        if quoted == words:
            return _hidden(value)
        # The quote before it may be the beginning of another value.
        return Piece(quoted.encode(), b"'?" + _hidden(quoted[1:-1].encode()).expected + b"'?")
    text = words.translate({ord(each): f"\\{each}" for each in '\\"$`'})
    return Piece(f'"{text}"'.encode(), b'"?' + _hidden(text.encode()).expected + b'"?')


def _decorated(chance: random.Random, value: bytes) -> Piece:
    """With colours, links, and characters that a reader doesn't see, anywhere within."""
    try:
        letters = [each.encode() for each in value.decode()]
    except UnicodeDecodeError:
        return _hidden(value)
    if len(letters) < 2:
        return _hidden(value)
    for _ in range(chance.randint(1, 4)):
        letters.insert(chance.randint(1, len(letters) - 1), chance.choice(_UNSEEN))
    text = b"".join(letters)
    # What is inserted beside a line break may stay.
    lines = [rb"(?:\*\*\*)+" if line else b"" for line in value.split(b"\n")]
    unseen = b"(?:" + b"|".join(map(re.escape, _UNSEEN)) + b")*"
    return Piece(text, (unseen + b"\n" + unseen).join(lines) if b"\n" in value else lines[0])


def _wrapped(chance: random.Random, value: bytes) -> Piece:
    """Base64 or hexadecimal digits in lines of any length from 8 on, maybe indented."""
    form = chance.choice((base64.standard_b64encode, base64.urlsafe_b64encode, bytes.hex))
    encoded = form(value)
    digits = encoded.encode() if isinstance(encoded, str) else encoded
    # Shorter texts are found only in one piece.
    width = chance.randint(8, 80) if len(digits) >= 12 else len(digits)
    indent = b" " * chance.randint(0, 3)
    lines = [digits[at : at + width] for at in range(0, len(digits), width)]
    return Piece((b"\n" + indent).join(lines), (b"\n" + b" *").join([rb"(?:\*\*\*)+"] * len(lines)))


def _markup(chance: random.Random, value: bytes) -> Piece:
    try:
        words = value.decode()
    except UnicodeDecodeError:
        return _hidden(value)
    table = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
    table |= {'"': chance.choice(("&quot;", '"', "&#34;")), "'": chance.choice(("&#39;", "&#x27;", "'", "&apos;"))}
    return _hidden("".join(table.get(each, each) for each in words).encode())


def _nested_json(chance: random.Random, value: bytes) -> Piece:
    try:
        words = value.decode()
    except UnicodeDecodeError:
        return _hidden(value)
    once = json.dumps(words, ensure_ascii=chance.random() < 0.5)[1:-1]
    return _hidden(json.dumps(once)[1:-1].encode() if once.isascii() else _hidden(value).text)


def _escapes(chance: random.Random, value: bytes) -> Piece:
    """Each byte as an escape of a shell or of C, or what is not ASCII as Python or `set -x` write it."""
    kind = chance.randint(0, 3)
    if kind == 0:
        return _hidden(b"".join(b"\\x%02x" % each for each in value))
    if kind == 1:
        return _hidden(b"".join(b"\\%03o" % each for each in value))
    if kind == 2:
        return _hidden(b"".join(b"%%%02X" % each for each in value).replace(b"%", b"%25"))
    plain = all(each not in b"\\'\"" for each in value)
    return _hidden(repr(value)[2:-1].encode() if plain else value)


_FORMS: Sequence[Callable[[random.Random, bytes], Piece]] = (
    _plain,
    _plain,
    _one_line,
    _base64,
    _base64,
    _base64_lines,
    _url,
    _json,
    _shell,
    _decorated,
    _decorated,
    _wrapped,
    _wrapped,
    _markup,
    _nested_json,
    _escapes,
)


# -- cases


def make(chance: random.Random) -> Case:
    """A case: some values, and a log that has them in it."""
    values = _values(chance)
    text, expected = b"", b""
    for _ in range(chance.randint(1, 4)):
        for piece in (_filler(chance), chance.choice(_FORMS)(chance, chance.choice(values))):
            text, expected = text + piece.text, expected + piece.expected
    last = _filler(chance)
    return Case(tuple(values), text + last.text, re.compile(expected + last.expected))


def _filler(chance: random.Random) -> Piece:
    text = "".join(chance.choice(_FILLER) for _ in range(chance.randint(1, 4))).encode()
    return Piece(text, re.escape(text))


def output(secrets: Sequence[bytes], pieces: Sequence[bytes], patterns: SecretPatterns | None = None) -> bytes:
    """What the mask makes of a log that comes in these pieces."""
    mask = SecretMasker(patterns or SecretPatterns(secrets))
    return b"".join([*(mask.feed(piece) for piece in pieces), mask.flush()])


def wrong(case: Case, chance: random.Random, cuts: int = 8) -> str | None:
    """What is wrong with the mask's output, whole, cut at so many points, and byte by byte; None when nothing is."""
    text, patterns = case.text, SecretPatterns(case.secrets)
    whole = output(case.secrets, [text], patterns)
    if not case.expected.fullmatch(whole):
        return f"secrets {case.secrets}\n  text {text!r}\n  masked {whole!r}\n  wanted {case.expected.pattern!r}"
    points = range(1, len(text))
    for cut in points if cuts >= len(points) else chance.sample(points, cuts):
        if (cutted := output(case.secrets, [text[:cut], text[cut:]], patterns)) != whole:
            return f"secrets {case.secrets}\n  text {text!r}\n  cut at {cut}: {cutted!r}\n  whole {whole!r}"
    if chance.random() < _BYTE_BY_BYTE:
        single = output(case.secrets, [text[at : at + 1] for at in range(len(text))], patterns)
        if single != whole:
            return f"secrets {case.secrets}\n  text {text!r}\n  byte by byte: {single!r}\n  whole {whole!r}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--cuts", type=int, default=8, help="points at which each text is cut")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    chance, failed, cuts, began = random.Random(args.seed), 0, 0, time.monotonic()
    for _ in range(args.cases):
        case = make(chance)
        cuts += min(args.cuts, len(case.text) - 1)
        if (what := wrong(case, chance, args.cuts)) is not None:
            failed += 1
            if failed <= 5:
                print(what)
    seconds = time.monotonic() - began
    print(f"mask fuzz: seed {args.seed}; {args.cases} cases, {cuts} cuts, {failed} wrong, in {seconds:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
