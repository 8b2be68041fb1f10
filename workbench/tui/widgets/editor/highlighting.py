"""Line-by-line YAML highlighting for machines on which tree-sitter can't be loaded."""

from __future__ import annotations

import re

from rich.text import Text

from workbench.tui.theme import Palette

_KEY = re.compile(r"^\s*(?:- +)*(?P<key>['\"]?[\w.$/-]+['\"]?) *(?=:(\s|$))")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_VALUE = re.compile(r"(?<=[\s\[,])(?:true|false|null|~|-?\d+(?:\.\d+)?)(?=\s*(?:[,\]#]|$))")
_PUNCTUATION = re.compile(r"^\s*(?:- +)*-(?=\s|$)|(?<=: )[|>][-+0-9]*$|[\[\]{},]")


def highlight(line: Text, colours: Palette) -> None:
    """Style a line of YAML in place."""
    text = line.plain
    for found in _PUNCTUATION.finditer(text):
        line.stylize(colours.muted, *found.span())
    for found in _VALUE.finditer(text):
        line.stylize(colours.accent, *found.span())
    key = _KEY.match(text)
    if key is not None:
        line.stylize(colours.highlight, *key.span("key"))
    comment = _comment(text)
    if comment is not None:
        line.stylize(colours.faint, comment, len(text))


def _comment(text: str) -> int | None:
    """The offset of a comment; a `#` in quotes starts none."""
    found = _COMMENT.search(text)
    if found is None:
        return None
    start = found.start() + (0 if text[found.start()] == "#" else 1)
    before = text[:start]
    return None if before.count('"') % 2 or before.count("'") % 2 else start
