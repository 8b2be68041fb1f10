"""Reads the bytes out of hexadecimal dumps in a log, with both of their columns. Pure.

Layouts: `xxd`, `hexdump -C`, `od -t x1` and `-t x1z`, words of two bytes in either order (`xxd`, `hexdump`, `od -x`),
bytes between blanks, colons or commas with or without `0x` (`openssl`, arrays of C). Not those of characters or octal
numbers (`od -c`, `od -b`), nor words of more than two bytes.

Reading dumps takes long, so the search of a log also looks for `dump_marks`, pairs of bytes of a secret as dumps write
them; only data with one is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ahocorasick_rs import BytesAhoCorasick

from controller.logs.masking.prefixes import PrefixIndex

MIN_DUMPED_BYTES = 6
MAX_DUMPED_BYTES = 1024
_MAX_LINE_BYTES = 256
_MAX_LINES = 160
_DIGITS = rb"(?:0x)?(?:[0-9a-fA-F]{2}){1,2}"
# The characters stand two blanks or more behind the digits, which have one between them.
_XXD_LINE = re.compile(
    rb"[ \t]*[0-9a-fA-F]{6,16}:[ \t]+(?P<items>" + _DIGITS + rb"(?: " + _DIGITS + rb")*)(?: {2}(?P<text>.{1,200}))?"
)
_LINE = re.compile(
    rb"[ \t]*(?:[0-9a-fA-F]{6,16}[ \t]+)?(?P<items>"
    + _DIGITS
    + rb"(?:[ :,\t]{1,3}"
    + _DIGITS
    + rb")*)[ :,\t]*(?:[|>](?P<text>.{1,64})[|<])?[ ]*"
)
_ITEM = re.compile(rb"(?:0x)?((?:[0-9a-fA-F]{2}){1,2})")


@dataclass
class Dump:
    """The bytes of consecutive lines; of each its line, and where its digits and its character are in the data."""

    content: bytearray = field(default_factory=bytearray)
    swapped: bytearray = field(default_factory=bytearray)
    """With the bytes of each word of two the other way round."""
    lines: list[int] = field(default_factory=list)
    digits: list[tuple[int, int]] = field(default_factory=list)
    characters: list[int | None] = field(default_factory=list)

    def spans(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Where a part of the bytes is in the data: for each line its digits, and its characters."""
        first = start
        for index in range(start, end):
            if index + 1 < end and self.lines[index + 1] == self.lines[index]:
                continue
            yield self.digits[first][0], self.digits[index][1]
            shown = [each for each in self.characters[first : index + 1] if each is not None]
            if shown:
                yield shown[0], shown[-1] + 1
            first = index + 1


def dump_marks(secret: bytes) -> Iterator[bytes]:
    """What a dump of the secret has in a line with three of its bytes or more."""
    for at in range(len(secret) - 1):
        first, second = f"{secret[at]:02x}", f"{secret[at + 1]:02x}"
        forms = [f" {first}{second}", f" {second}{first}"]
        if at % 2 == 0:
            forms += f"{first} {second}", f"{first}:{second}", f"{first}, 0x", f"{first},0x{second}"
        for form in forms:
            yield form.encode()
            yield form.upper().replace("0X", "0x").encode()


def read_dumps(data: bytes) -> list[Dump]:
    """The dumps in the data, which has no control sequences."""
    found: list[Dump] = []
    is_open = False
    position = 0
    for number, line in enumerate(data.split(b"\n")):
        match = _XXD_LINE.fullmatch(line) or _LINE.fullmatch(line)
        content = bytes.fromhex(re.sub(rb"0x|[ :,\t]", b"", match["items"]).decode()) if match is not None else b""
        # Shorter lines may be the last ones of a dump; alone they are more often something else.
        is_open = match is not None and (is_open or len(content) >= MIN_DUMPED_BYTES)
        if match is not None and is_open:
            if not found or found[-1].lines[-1] != number - 1:
                found.append(Dump())
            _add_line(found[-1], match, position, number)
        position += len(line) + 1
    return found


def _last_lines(data: bytes) -> bytes:
    """The end of the data that may have the beginning of a secret in a dump; nothing if no dump is there."""
    start = data.rfind(b"\n", 0, len(data) - 1) + 1
    line = data[start:].rstrip(b"\n")
    if len(line) > _MAX_LINE_BYTES or not (_XXD_LINE.fullmatch(line) or _LINE.fullmatch(line)):
        return b""
    tail = data[-_MAX_LINES * _MAX_LINE_BYTES :]
    return tail if len(tail) == len(data) else tail[tail.find(b"\n") + 1 :]


def _add_line(dump: Dump, match: re.Match[bytes], position: int, number: int) -> None:
    begin = position + match.start("items")
    first = len(dump.content)
    for item in _ITEM.finditer(match["items"]):
        content = bytes.fromhex(item[1].decode())
        dump.content += content
        dump.swapped += content[::-1]
        dump.digits += [(begin + item.start(), begin + item.end())] * len(content)
    count = len(dump.content) - first
    dump.lines += [number] * count
    # Of a short line, the text column has blanks before it.
    size = min(count, len(match["text"] or b""))
    start = position + match.end("text") - size
    dump.characters += [start + index if index < size else None for index in range(count)]


class DumpPatterns:
    """The secrets of one set that are found in dumps."""

    def __init__(self, secrets: frozenset[bytes]) -> None:
        self._automaton = BytesAhoCorasick(sorted(secrets)) if secrets else None
        self._prefixes = PrefixIndex(sorted(secrets))
        self.marks = frozenset(mark for each in secrets for mark in dump_marks(each))

    def find(self, data: bytes) -> list[tuple[int, int]]:
        """Where digits and characters of the secrets are in the data, as (start, end)."""
        if self._automaton is None:
            return []
        found: list[tuple[int, int]] = []
        for dump in read_dumps(data):
            for content in (dump.content, dump.swapped):
                for _, start, end in self._automaton.find_matches_as_indexes(bytes(content), overlapping=True):
                    found += dump.spans(start, end)
        return found

    def pending_start(self, data: bytes) -> int:
        """Where a secret may begin in a dump at the end of the data; the data's length if there is none."""
        tail = _last_lines(data) if self._automaton is not None else b""
        dumps = read_dumps(tail)
        if not dumps or dumps[-1].lines[-1] != tail.rstrip(b"\n").count(b"\n"):
            return len(data)
        dump = dumps[-1]
        length = max(self._prefixes.longest(bytes(content)) for content in (dump.content, dump.swapped))
        return len(data) - len(tail) + dump.digits[len(dump.content) - length][0] if length else len(data)
