"""Errors that a program reports as a workflow command of GitHub Actions. Pure.

`::error file=src/a.py,line=3,title=Type error::expected int`
(https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands)
"""

import re
from dataclasses import dataclass

_ERROR = re.compile(r"^::error(?: (?P<properties>.{0,1000}?))?::(?P<message>.*)")
_ESCAPE = re.compile(r"%(0A|0D|25|2C|3A)")
_ESCAPED = {"0A": "\n", "0D": "\r", "25": "%", "2C": ",", "3A": ":"}
_MAX_LINE_NUMBER = 10_000_000


@dataclass(frozen=True)
class ErrorAnnotation:
    """An error. `text` is its title and message on one line; file and line are None unless it names both."""

    text: str
    file: str | None
    line: int | None


def parse_error_annotation(line: str) -> ErrorAnnotation | None:
    """The error that a line of a log reports; None for other lines."""
    found = _ERROR.match(line)
    if found is None:
        return None
    pairs = (each.partition("=") for each in (found["properties"] or "").split(","))
    properties = {name.strip(): _unescape(value) for name, _, value in pairs}
    message = " ".join(_unescape(found["message"]).split())
    title = " ".join(properties.get("title", "").split())
    text = f"{title}: {message}" if title and message else title or message
    file, number = properties.get("file", "").strip(), properties.get("line", "").strip()
    if not file or not re.fullmatch(r"[0-9]{1,8}", number) or not 0 < int(number) <= _MAX_LINE_NUMBER:
        return ErrorAnnotation(text or line, None, None)
    return ErrorAnnotation(text or line, file, int(number))


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPED[match[1]], text)
