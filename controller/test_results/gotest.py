"""Reads the output of `go test -json` (cmd/test2json): one event in each line."""

from __future__ import annotations

import json
import re

from controller.test_results.model import (
    MAX_PARSED_TESTS,
    MAX_TEXT_LENGTH,
    Outcome,
    ReportError,
    TestResult,
)

_LOCATION = re.compile(r"^\s*(?P<file>[\w./-]+\.go):(?P<line>\d{1,7})(?::\d+)?: ?(?P<text>.*)$")
_OUTCOMES: dict[str, Outcome] = {"pass": "passed", "fail": "failed", "skip": "skipped"}
_FRAMING = re.compile(
    r"^\s*(?:=== (?:RUN|PAUSE|CONT|NAME)\b|--- (?:PASS|FAIL|SKIP): |(?:PASS|FAIL)$|(?:ok|FAIL)\s+\S+\t)"
)
_MAX_LINE_BYTES = 1024 * 1024
_MAX_OTHER_LINES = 10_000
"""Lines that are no events, as of a program that prints beside the tests."""


def parse_gotest(data: bytes) -> list[TestResult]:
    """The tests of a file. Raises ReportError."""
    reader = _Reader()
    others = 0
    first_other: int | None = None
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        event = _event(line)
        if event is None:
            others += 1
            first_other = first_other or number
            if others > _MAX_OTHER_LINES:
                break
            continue
        reader.take(event, number)
    if not reader.has_events:
        raise ReportError("it is not the output of `go test -json`: no line is an event", first_other or 1)
    return reader.finish()


def _event(line: bytes) -> dict[str, object] | None:
    if len(line) > _MAX_LINE_BYTES or not line.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("Action"), str) else None


class _Reader:
    def __init__(self) -> None:
        self.has_events = False
        self._tests: dict[tuple[str, str], TestResult] = {}
        self._output: dict[tuple[str, str], list[str]] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._ended: set[tuple[str, str]] = set()
        self._failed: set[str] = set()
        """Packages with a failed test."""

    def take(self, event: dict[str, object], number: int) -> None:
        self.has_events = True
        action = str(event["Action"])
        package = str(event.get("Package") or event.get("ImportPath") or "").partition(" ")[0]
        key = (package, str(event.get("Test") or ""))
        if action in ("output", "build-output"):
            self._add_output(key, str(event.get("Output") or ""))
        elif action in _OUTCOMES and (key[1] or action == "fail"):
            if len(self._tests) >= MAX_PARSED_TESTS:
                raise ReportError(f"it has more than {MAX_PARSED_TESTS:,} tests", number)
            elapsed = event.get("Elapsed")
            seconds = float(elapsed) if isinstance(elapsed, int | float) and 0 <= elapsed < 1e9 else None
            self._tests[key] = TestResult(key[1], package, _OUTCOMES[action], seconds, rerun=key[1].partition("/")[0])
            self._ended.add(key)
            if action == "fail" and key[1]:
                self._failed.add(package)
        elif action == "run" and key[1]:
            self._tests.setdefault(key, TestResult(key[1], package, rerun=key[1].partition("/")[0]))

    def _add_output(self, key: tuple[str, str], text: str) -> None:
        size = self._sizes.get(key, 0) + len(text)
        # A little more than is kept; of endless output the first part is.
        if size <= 4 * MAX_TEXT_LENGTH:
            self._output.setdefault(key, []).append(text)
            self._sizes[key] = size

    def finish(self) -> list[TestResult]:
        found = []
        for key, test in self._tests.items():
            if not key[1]:
                if key[0] in self._failed:
                    continue
                # The package failed without a failed test: it does not build, or its process has ended.
                test.name, test.outcome, test.rerun = "(package)", "error", ""
            elif key not in self._ended:
                test.outcome, test.message = (
                    "error",
                    "it did not end: the process ended before, or the report is cut off",
                )
            lines = "".join(self._output.get(key, ())).splitlines()
            lines = [line for line in lines if not _FRAMING.match(line)]
            test.output = "\n".join(lines).strip("\n")
            if test.outcome != "passed":
                self._explain(test, lines)
            found.append(test)
        return found

    @staticmethod
    def _explain(test: TestResult, lines: list[str]) -> None:
        for line in lines:
            if (location := _LOCATION.match(line)) is not None:
                test.file, test.line = location["file"], int(location["line"])
                test.message = test.message or location["text"].strip()
                break
        if not test.message:
            test.message = next((line.strip() for line in lines if line.strip()), "")
        if test.outcome != "skipped":
            test.details, test.output = test.output, ""
