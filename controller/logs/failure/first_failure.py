"""Finds the line that explains why a step failed, among the last lines of its log. Pure.

Best first: an error that a program reports as such (`::error file=src/a.py,line=3::…`), a source location with an error
(`src/a.py:3: error: …`), the last line of a Python traceback, a line with `error:` or `FAILED`; of the best kind, the
first one. Without any, the last line that is not empty.

The lines are untrusted. What is searched is bounded by `SEARCH_BYTES`, `SEARCH_LINES` and `_MAX_LINE_BYTES`, and every
pattern takes time in proportion to the line: none has two unbounded repetitions that can match the same text.
"""

import re
from collections import deque
from collections.abc import Callable

from controller.logs.archive.summary import Failure
from controller.logs.failure.annotation import parse_error_annotation
from controller.logs.failure.location import CONTEXT_LINES, find_source_location
from controller.logs.model import Block, Line

SEARCH_BYTES = 256 * 1024
"""How much of the end of a log is searched."""
SEARCH_LINES = 10_000
"""How many of its last lines."""
MAX_TEXT_LENGTH = 300
_MAX_LINE_BYTES = 4096

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_NOISE = re.compile(
    r"\b(?:0 (?:errors?|failed|failures)|no errors?|errors?: 0|failures?: 0|failed: 0)\b", re.IGNORECASE
)
_LOCATION = re.compile(
    r"(?:^|[\s(\"'])(?:[A-Za-z]:)?[\w./@+-]*\.[A-Za-z][\w+]{0,9}[:(]\d+(?:[:,]\d+)?\)?:?\s", re.IGNORECASE
)
# A name that ends in Error or Exception counts, too; its end suffices, and needs no search back to its beginning.
_COMPLAINT = re.compile(
    r"\b(?:error|fatal|undefined|expected|cannot|failed)\b|[A-Za-z0-9_](?:Error|Exception)\b", re.IGNORECASE
)
_TEST_LOCATION = re.compile(r"^\s*[\w./@+-]+\.[A-Za-z][\w+]{0,9}:\d+: ?(?:[A-Z]\w*|in )")
_RAISED = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning)(?::|$)")
_PANIC = re.compile(r"^(?:panic:|thread '.*' panicked|Exception in thread|Caused by:|Segmentation fault|E\s{2,}\w)")
_FAILED = re.compile(r"^\s*(?:--- FAIL|FAILED|FAIL:|not ok\b|✗|✘|×)|\bFAILED\b")
_ERROR = re.compile(
    r"(?:^|[\s\[(:])(?:error|fatal|failure)(?:\[\w+\])?[\])]?:|^(?:ERROR|FATAL|Error)\b|"
    r": (?:not found|command not found|No such file or directory|Permission denied)\b|\*\*\* \[",
    re.IGNORECASE,
)


def first_failure(blocks: list[Block]) -> Failure | None:
    """The failing line among the last blocks of a failed step's masked output; None if it printed nothing."""
    newest = deque((line for block in blocks for line in block.lines()), maxlen=SEARCH_LINES)
    lines = [(line.number, text) for line in newest if (text := _plain_text(line)).strip()]
    if not lines:
        return None
    best: tuple[int, int] | None = None
    for index, (_, text) in enumerate(lines):
        kind = _rank(text)
        if kind is not None and (best is None or kind < best[0]):
            best = (kind, index)
    chosen = best[1] if best else len(lines) - 1
    number, text = lines[chosen]
    if (annotation := parse_error_annotation(text)) is not None:
        return Failure(number, _truncate(annotation.text), annotation.file, annotation.line)
    before = [each for _, each in lines[max(0, chosen - CONTEXT_LINES) : chosen]]
    after = [each for _, each in lines[chosen + 1 : chosen + 1 + CONTEXT_LINES]]
    file, file_line = find_source_location(text, before, after) or (None, None)
    return Failure(number, _truncate(text), file, file_line)


def last_line(blocks: list[Block]) -> str | None:
    """The last line that is not empty, from standard output or error: a pod's log does not tell them apart."""
    for block in reversed(blocks):
        for line in reversed(list(block.lines())):
            text = _plain_text(line)
            if text.strip():
                return _truncate(text)
    return None


def _rank(text: str) -> int | None:
    """The rank of a line: 0 explains most, None nothing."""
    if _NOISE.search(text):
        return None
    return next((rank for rank, matches in enumerate(_MATCHERS_BY_RANK) if matches(text)), None)


def _complains_at_location(text: str) -> bool:
    """Whether the line names a source location and complains after it."""
    location = _LOCATION.search(text)
    return location is not None and _COMPLAINT.search(text, location.end()) is not None


_MATCHERS_BY_RANK: tuple[Callable[[str], object], ...] = (
    parse_error_annotation,
    _TEST_LOCATION.match,
    _complains_at_location,
    _RAISED.match,
    _PANIC.match,
    _ERROR.search,
    _FAILED.search,
)


def _plain_text(line: Line) -> str:
    """The line as text, without terminal control sequences."""
    text = _ESCAPES.sub("", line.data[:_MAX_LINE_BYTES].decode("utf-8", "replace"))
    text = text.expandtabs(4)
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    return text.rstrip()


def _truncate(text: str) -> str:
    text = text.strip()
    return text if len(text) <= MAX_TEXT_LENGTH else text[: MAX_TEXT_LENGTH - 1] + "…"
