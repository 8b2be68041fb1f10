"""Hexadecimal dumps, as programs lay them out."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from bench.masking.cases.parts import Parts, hidden, kept

MIN_DUMPED_BYTES = 6


def dump(chance: random.Random, value: bytes) -> Parts | None:
    """A dump of a text with the value in its midst, as programs print them."""
    if not MIN_DUMPED_BYTES <= len(value) <= 200:
        return None
    before, after = b"\xd0\x96" * chance.randint(0, 12), b"\xd0\x96" * chance.randint(0, 12)
    content = before + value + after
    layout = chance.choice(_LAYOUTS)
    width = chance.choice((8, 16, 16, 16, 32)) if layout not in (_hexdump_words, _xxd) else 16
    found: Parts = []
    for at in range(0, len(content), width):
        line = content[at : at + width]
        start = min(max(len(before) - at, 0), len(line))
        end = min(max(len(before) + len(value) - at, 0), len(line))
        found += layout(line, at, start, max(start, end), width)
        found += kept(b"\n")
    return found[:-1]


def _items(items: Sequence[bytes], separator: bytes, start: int, end: int) -> Parts:
    """Items of a line, of which those from `start` to `end` have to be masked, with what is between them."""
    before, secret, after = items[:start], items[start:end], items[end:]
    between = separator if before and (secret or after) else b""
    return (
        kept(separator.join(before) + between)
        + hidden(separator.join(secret))
        + kept((separator if secret and after else b"") + separator.join(after))
    )


def _bytes_of(line: bytes, form: str = "{:02x}") -> list[bytes]:
    return [form.format(each).encode() for each in line]


def _text_column(line: bytes, start: int, end: int) -> Parts:
    text = bytes(each if 0x20 <= each < 0x7F else 0x2E for each in line)
    return kept(text[:start]) + hidden(text[start:end]) + kept(text[end:])


def _hexdump(line: bytes, at: int, start: int, end: int, width: int) -> Parts:
    digits = _items(_bytes_of(line), b" ", start, end)
    missing = b" " * (3 * (width - len(line)))
    text = kept(missing + b"  |") + _text_column(line, start, end) + kept(b"|")
    return kept(b"%08x  " % at) + digits + text


def _od(line: bytes, at: int, start: int, end: int, _: int) -> Parts:
    return kept(b"%07o " % at) + _items(_bytes_of(line), b" ", start, end)


def _xxd(line: bytes, at: int, start: int, end: int, width: int) -> Parts:
    words = _bytes_of(line)
    pairs = [b"".join(words[index : index + 2]) for index in range(0, len(words), 2)]
    last = -(-end // 2) if end > start else start // 2
    digits = _items(pairs, b" ", start // 2, last)
    size = len(b" ".join(pairs))
    return kept(b"%08x: " % at) + digits + kept(b" " * (width // 2 * 5 + 1 - size)) + _text_column(line, start, end)


def _hexdump_words(line: bytes, at: int, start: int, end: int, _: int) -> Parts:
    line += b"\0" * (len(line) % 2)
    words = _bytes_of(line)
    pairs = [words[index + 1] + words[index] for index in range(0, len(words), 2)]
    last = -(-end // 2) if end > start else start // 2
    return kept(b"%07x " % at) + _items(pairs, b" ", start // 2, last)


def _bytes_with(separator: bytes, form: str, indent: bytes, line_end: bytes) -> Callable[..., Parts]:
    def layout(line: bytes, _: int, start: int, end: int, __: int) -> Parts:
        return kept(indent) + _items(_bytes_of(line, form), separator, start, end) + kept(line_end)

    return layout


_LAYOUTS: Sequence[Callable[..., Parts]] = (
    _hexdump,
    _od,
    _xxd,
    _hexdump_words,
    _bytes_with(b" ", "{:02x}", b" ", b""),
    _bytes_with(b":", "{:02x}", b"    ", b":"),
    _bytes_with(b":", "{:02X}", b"", b""),
    _bytes_with(b", ", "0x{:02x}", b"  ", b","),
    _bytes_with(b",", "0x{:02X}", b"", b","),
)
