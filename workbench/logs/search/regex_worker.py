"""Looks for a regular expression in a process of its own, because nothing else can stop one that goes back and forth.

Run as a script, alone: it imports nothing of ours. It reads frames (eight bytes of length, then UTF-8) and answers
each with one: the first is the pattern, the others are texts; an answer is the numbers of the lines that match.
"""

from __future__ import annotations

import re
import sys
from array import array
from typing import BinaryIO

_LENGTH = 8


def _frame(source: BinaryIO) -> str | None:
    head = source.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    return source.read(int.from_bytes(head, "big")).decode("utf-8", "surrogatepass")


def main(source: BinaryIO, target: BinaryIO) -> None:
    pattern = _frame(source)
    if pattern is None:
        return
    search = re.compile(pattern).search
    while (text := _frame(source)) is not None:
        found = array("I", (at for at, line in enumerate(text.split("\n")) if search(line))).tobytes()
        target.write(len(found).to_bytes(_LENGTH, "big") + found)
        target.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
