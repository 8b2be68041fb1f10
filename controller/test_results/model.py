"""What is read from reports, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]

Outcome = Literal["passed", "failed", "error", "skipped"]
FAILED_OUTCOMES: frozenset[str] = frozenset(("failed", "error"))
FORMATS = ("junit", "tap", "gotest")

MEBIBYTE = 1024 * 1024
MAX_FILES = 1000
"""Report files of an attempt."""
MAX_FILE_BYTES = 32 * MEBIBYTE
MAX_TOTAL_BYTES = 64 * MEBIBYTE
"""All report files of an attempt together, unpacked."""
MAX_PACKED_BYTES = 16 * MEBIBYTE
MAX_TESTS = 20_000
"""Tests of an attempt that are listed; all are counted."""
MAX_PARSED_TESTS = 200_000
MAX_NAME_LENGTH = 500
MAX_MESSAGE_LENGTH = 2_000
MAX_TEXT_LENGTH = 32_000
"""Of the details of a failure, and of its output."""
MAX_TEXTS_LENGTH = 4 * MEBIBYTE
"""Of all details and outputs of an attempt together."""
MAX_WARNINGS = 20
MAX_WARNING_LENGTH = 300


class ReportError(Exception):
    """A report file can't be read. `line` is the line where, from 1; None if that is not known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class TestResult:
    """One test as a report has it. Texts are as they were reported: unmasked, of any length, with control characters.

    Attributes:
        suite: what it belongs to: a class, a module, a package; empty if nothing is known.
        seconds: how long it took; None if that is not known.
        file: the source file, and in it the `line` (from 1): of the failure if it names one, else of the test.
        message: one sentence that says why it failed or was skipped.
        details: the failure as the test tool describes it: differences, a traceback.
        output: what it has printed.
        rerun: how the list for `rerunFailed` names it.
    """

    __test__ = False
    """It is no test of this project."""

    name: str
    suite: str = ""
    outcome: Outcome = "passed"
    seconds: float | None = None
    file: str = ""
    line: int | None = None
    message: str = ""
    details: str = ""
    output: str = ""
    rerun: str = ""


def shorten(text: str, limit: int) -> str:
    """The beginning and the end of a text, at most `limit` characters: the end often says what went wrong."""
    if len(text) <= limit:
        return text
    head = limit // 3
    tail = limit - head - 40
    return f"{text[:head]}\n… {len(text) - head - tail:,} characters left out …\n{text[-tail:]}"


def parse_seconds(text: str | None) -> float | None:
    """A duration in seconds, as `1,234.5`; None for what is none."""
    try:
        seconds = float((text or "").replace(",", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e9 else None
