"""Replaces all output by ASCII for terminals without Unicode; every cell keeps its position and width.

It filters the output last, so widgets need not know about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from workbench.text.width import char_width
from workbench.tui.terminal.served import is_served

_SIGNS = {
    "●": "o", "◐": "*", "✓": "v", "✗": "x", "⊘": "/", "‖": "=", "»": "~", "◆": "&", "▶": ">", "▼": "v",
    "▸": "+", "▾": "-", "≠": "#", "↳": "\\", "µ": "u",
    "›": ">", "→": ">", "⇠": "<", "←": "<", "↑": "^", "↓": "v", "…": ".", "·": ".", "•": "*", "×": "x",
    "⚠": "!", "—": "-", "–": "-", "“": '"', "”": '"', "‘": "'", "’": "'", "⏎": "<", "␣": " ", "⌕": "?", "⌫": "<",
}  # fmt: skip
_LINES = (
    dict.fromkeys("─┄┈▀▔╴╶╸╺", "-") | {"╌": ":", "┅": "%", "━": "=", "═": "#"} | dict.fromkeys("│┃║╎┆▏▕▊▎▌▐╵╷", "|")
)
_CORNERS = dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼╔╗╚╝┏┓┗┛", "+") | dict.fromkeys("▁▂▃▄▅▆▇█░▒▓", " ")
_TABLE = str.maketrans(_SIGNS | _LINES | _CORNERS)


class AsciiFilter(LineFilter):
    """Replaces each character by a similar one, or by a question mark for each cell it takes."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(to_ascii(segment.text), segment.style, segment.control)
            for segment in segments
        ]


def supports_unicode(environ: Mapping[str, str]) -> bool:
    """Whether a terminal with this environment shows more than ASCII.

    The locale tells, by the first of the variables that is set, as in POSIX; who
    sets none most likely has a terminal of today. The Linux console has UTF-8
    but not the signs.
    """
    if is_served(environ):
        return True
    if environ.get("TERM", "") in ("linux", "dumb", "vt100", "vt102", "vt220"):
        return False
    locale = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "utf-8")
    return "utf8" in locale.lower().replace("-", "")


@lru_cache(maxsize=4096)
def to_ascii(text: str) -> str:
    """The text in ASCII, as wide as before."""
    known = text.translate(_TABLE)
    return "".join(char if char.isascii() else "?" * char_width(char) for char in known)
