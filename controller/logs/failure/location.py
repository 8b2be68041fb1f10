"""Finds the source location of a failing line: named in it, or in the lines around it. Pure.

Paths are returned as the tool printed them.
"""

import re
from collections.abc import Sequence

CONTEXT_LINES = 12
"""How many lines before and after the failing one are searched."""

_MAX_LINE_LENGTH = 300
_MAX_LINE_NUMBER = 10_000_000
_FILE = r"(?P<file>(?:[A-Za-z]:[\\/])?[\w./\\@+-]*[\w@+-]\.[A-Za-z][\w+]{0,9})"
_BEGIN = r"(?:^|(?<=[\s(\"'\[]))"
_NAMED = re.compile(_BEGIN + _FILE + r"(?::|\()(?P<line>\d{1,8})(?=[:,)\s\]]|$)")
_MAKE = re.compile(r"\*\*\* \[(?P<file>[\w./\\@+-]+):(?P<line>\d{1,8}):")
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d{1,8})')
_ARROW = re.compile(r"^\s*--> (?P<file>[^\s:]+):(?P<line>\d{1,8}):\d+")
_JAVA = re.compile(r"^\s+at [\w.$/<>@]+\((?P<file>[\w$]+\.(?:java|kt|scala|groovy)):(?P<line>\d{1,8})\)")
_ESLINT = re.compile(r"^\s+(?P<line>\d{1,8}):\d{1,8}\s+error\s")
_HEADING = re.compile(r"^(?:[A-Za-z]:[\\/]|[./\w@])[^\s:]*\.[A-Za-z]\w{0,9}$")
_RAISED = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?::|$)")


def find_source_location(text: str, before: Sequence[str], after: Sequence[str]) -> tuple[str, int] | None:
    """The file and line that `text` is about; `before` and `after` are the lines around it, in the order of the log."""
    text = text[:_MAX_LINE_LENGTH]
    own = _first(_NAMED, [text]) or _first(_MAKE, [text])
    if own is not None:
        return own
    above = [line[:_MAX_LINE_LENGTH] for line in reversed(before[-CONTEXT_LINES:])]
    below = [line[:_MAX_LINE_LENGTH] for line in after[:CONTEXT_LINES]]
    listed = _ESLINT.match(text)
    if listed is not None:
        heading = next((line for line in above if _HEADING.match(line)), None)
        return None if heading is None else (heading, int(listed["line"]))
    if text.lstrip().startswith("error"):
        return _first(_ARROW, below[:3])
    if _RAISED.match(text) and above and _follows_frame(above):
        return _first(_FRAME, above)
    return _first(_JAVA, below)


def _follows_frame(above: Sequence[str]) -> bool:
    """Whether these lines, the nearest first, end a Python traceback: its frame, the source line, marks below it."""
    return any(_FRAME.match(line) for line in above[:4])


def _first(pattern: re.Pattern[str], lines: Sequence[str]) -> tuple[str, int] | None:
    for line in lines:
        found = pattern.search(line)
        if found is not None and 0 < int(found["line"]) <= _MAX_LINE_NUMBER:
            return found["file"], int(found["line"])
    return None
