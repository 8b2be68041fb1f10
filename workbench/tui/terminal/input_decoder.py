"""Decodes what a terminal sends, so that no key that is typed is lost, and nothing that is pasted is read as a key.

Textual's parser takes Escape and a key that follows it soon, as slow connections and tmux send them, for one key with
Alt, or leaves out Escape; it reads escape sequences within a pasted text as keys. Its driver ends with bytes that are
not UTF-8.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Callable

_PASTE_BEGINS, _PASTE_ENDS = "\x1b[200~", "\x1b[201~"
"""What a terminal puts around a pasted text (https://invisible-island.net/xterm/xterm-paste64.html)."""
_CONTROL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\))")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MAX_HELD = 64
"""Characters of a sequence in a pasted text that are kept back until its end comes."""
_SEQUENCE_BEGINS = "[O"
"""What follows Escape in the sequences that terminals send for keys and the mouse."""
ESCAPE = "\x1b"


class InputDecoder:
    """Text for a parser of keys. A pasted text has no control characters but line breaks and tabs.

    Args:
        is_one_key: whether Escape and this character, one right after the other, are one key with Alt.
    """

    def __init__(self, is_one_key: Callable[[str], bool] = lambda _: False) -> None:
        self._is_one_key = is_one_key
        self.escape_waits = False
        """Whether the last key was Escape, or the first character of a sequence that is still to come."""
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._passed = ""
        """The last characters that were passed on, which may be the beginning of a mark."""
        self._held: str | None = None
        """The end of the pasted text so far, which may be the beginning of a sequence; None outside of pasted text."""

    def decode(self, data: bytes, *, final: bool = False) -> list[str]:
        """Decode bytes; those that are not UTF-8 become U+FFFD.

        Returns:
            texts for the parser, and `ESCAPE` alone for each time the key was pressed.
        """
        text, parts = self._decode(data, final), list[str]()
        while text:
            if self._held is not None:
                part, text = self._pasted(self._held + text)
                parts.append(part)
            else:
                part, text = self._typed(text)
                parts += self._split(part)
        return parts + self.end_escape() if final else parts

    def end_escape(self) -> list[str]:
        """To be called when nothing has followed Escape for a while: then it was the key."""
        parts = [ESCAPE] if self.escape_waits else []
        self.escape_waits = False
        return parts

    def _split(self, text: str) -> list[str]:
        """A typed text, in which Escape is separate where it is the key."""
        text = ESCAPE + text if self.escape_waits else text
        self.escape_waits = False
        parts, begin = list[str](), 0
        at = text.find(ESCAPE)
        while at >= 0:
            following = text[at + 1 : at + 2]
            if not following or following == ESCAPE or not self._goes_on(following):
                parts += [text[begin:at], ESCAPE]
                begin = at + 1
            at = text.find(ESCAPE, at + 1)
        parts.append(text[begin:])
        parts = [part for part in parts if part]
        if text.endswith(ESCAPE):
            parts.pop()
            self.escape_waits = True
        return parts

    def _goes_on(self, following: str) -> bool:
        return following in _SEQUENCE_BEGINS or self._is_one_key(following)

    def _typed(self, text: str) -> tuple[str, str]:
        """What to pass on of a typed text, and what is left: the text that is pasted."""
        known = len(self._passed)
        at = (self._passed + text).find(_PASTE_BEGINS)
        if at < 0:
            self._passed = (self._passed + text)[1 - len(_PASTE_BEGINS) :]
            return text, ""
        self._passed, self._held = "", ""
        end = at + len(_PASTE_BEGINS) - known
        return text[:end], text[end:]

    def _pasted(self, text: str) -> tuple[str, str]:
        """What to pass on of a pasted text, and what is left: the text that is typed after it."""
        at = text.find(_PASTE_ENDS)
        if at >= 0:
            self._held = None
            return _clean(text[:at]) + _PASTE_ENDS, text[at + len(_PASTE_ENDS) :]
        begin = text.rfind("\x1b", max(len(text) - _MAX_HELD, 0))
        cut = begin if begin >= 0 else len(text)
        self._held = text[cut:]
        return _clean(text[:cut]), ""


def _clean(text: str) -> str:
    return _CONTROLS.sub("", _CONTROL_SEQUENCE.sub("", text))
