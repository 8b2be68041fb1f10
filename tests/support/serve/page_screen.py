"""What a terminal in a browser shows, from the bytes that were sent to it."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder

from workbench.text.width import char_width

_SEQUENCE = re.compile(r"\x1b\[([?!>0-9;$]*)([@-~])")
_OWN = re.compile(r"\x1b\]22;[a-z-]*\x07|\x1b\]2;[^\x00-\x1f]*: [A-Z][a-z]+\x1b\\\x07?")
"""The shape of the pointer, which Textual sets; title and bell, with which the workbench says how a run ended."""
_UNFINISHED = re.compile(r"\x1b(\[[?!>0-9;$]*)?$")


class PageScreen:
    """Understands what Textual's web driver writes: text, places of the cursor, and other screens."""

    def __init__(self, width: int = 500, height: int = 200) -> None:
        self._size = (width, height)
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self.odd: list[str] = []
        """Text with control characters outside of sequences, other than line ends."""
        self._clear()

    def _clear(self) -> None:
        width, height = self._size
        self._cells = [[" "] * width for _ in range(height)]
        self._row = self._column = 0

    def feed(self, data: bytes) -> None:
        text = self._rest + self._decode(data)
        unfinished = _UNFINISHED.search(text)
        self._rest = text[unfinished.start() :] if unfinished else ""
        text = _OWN.sub("", text[: unfinished.start()] if unfinished else text)
        at = 0
        for match in _SEQUENCE.finditer(text):
            self._write(text[at : match.start()])
            self._obey(match[1], match[2])
            at = match.end()
        self._write(text[at:])

    def _obey(self, numbers: str, action: str) -> None:
        if action == "H":
            row, _, column = numbers.partition(";")
            self._row, self._column = int(row or 1) - 1, int(column or 1) - 1
        elif (numbers, action) in (("!", "p"), ("?1049", "h")):
            self._clear()

    def _write(self, text: str) -> None:
        for char in text:
            if char == "\r":
                self._column = 0
            elif char == "\n":
                self._row, self._column = self._row + 1, 0
            elif ord(char) < 32 or char == "\x7f":
                self.odd.append(text)
            elif self._row < self._size[1] and self._column < self._size[0]:
                self._cells[self._row][self._column] = char
                self._column += max(char_width(char), 1)

    @property
    def text(self) -> str:
        return "\n".join("".join(row).rstrip() for row in self._cells).rstrip()
