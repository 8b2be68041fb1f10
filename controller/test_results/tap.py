"""Reads the Test Anything Protocol, versions 12 to 14 (testanything.org), with subtests and YAML diagnostics."""

from __future__ import annotations

import re

from controller.test_results.model import MAX_PARSED_TESTS, MAX_TEXT_LENGTH, ReportError, TestResult

_RESULT = re.compile(r"^(?P<not>not )?ok\b(?: +(?P<number>\d+))?(?: *(?:- +)?(?P<text>.*))?$")
_DIRECTIVE = re.compile(r"(?<!\\)#\s*(?P<word>skip|todo)\S*(?:\s+(?P<why>.*))?$", re.IGNORECASE)
_PLAN = re.compile(r"^1\.\.(?P<count>\d{1,9})(?:\s*#.*)?$")
_MESSAGE = re.compile(r"^\s*message:\s*(?P<text>.+)$")
_DURATION = re.compile(r"^\s*duration_ms:\s*(?P<text>[\d.]+)\s*$")
_LINE, _FILE = re.compile(r"^\s*line:\s*(\d{1,7})\s*$"), re.compile(r"^\s*file:\s*['\"]?([^'\"]+)['\"]?\s*$")
_MAX_LINE_LENGTH = 20_000


def parse_tap(data: bytes) -> list[TestResult]:
    """The tests of a file. Raises ReportError."""
    reader = _Reader()
    number = 0
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if reader.is_over:
            break
        reader.take(line[:_MAX_LINE_LENGTH], number)
    reader.finish(number)
    return reader.tests


class _Reader:
    def __init__(self) -> None:
        self.tests: list[TestResult] = []
        self.is_over = False
        self._plan: int | None = None
        self._results = 0
        self._seen = False
        self._suites: list[tuple[int, str]] = []
        """Names of the subtests that lines are in, each with its indentation."""
        self._block: tuple[int, list[str]] | None = None
        """The indentation and the lines of a YAML block."""
        self._output: list[str] = []
        self._last: TestResult | None = None

    def take(self, line: str, number: int) -> None:
        indent, text = len(line) - len(line.lstrip(" ")), line.strip()
        if self._block is not None:
            if text == "...":
                self._end_block()
            else:
                self._block[1].append(line[self._block[0] :])
            return
        if text == "---" and self._last is not None:
            self._block = (indent, [])
        elif text.startswith("Bail out!"):
            self._bail_out(text)
        elif text.startswith("# Subtest"):
            self._suites = [each for each in self._suites if each[0] < indent]
            self._suites.append((indent, text.partition(":")[2].strip()))
        elif (plan := _PLAN.match(text)) is not None:
            self._seen = True
            if indent == 0:
                self._plan = int(plan["count"])
        elif (found := _RESULT.match(text)) is not None:
            self._add(found, indent, number)
        elif self._last is not None and text and not text.startswith(("TAP version", "pragma ")):
            self._add_output(text.removeprefix("#").strip() if text.startswith("#") else text)
        self._seen = self._seen or text.startswith("TAP version")

    def _add(self, found: re.Match[str], indent: int, number: int) -> None:
        self._flush()
        self._seen = True
        if len(self.tests) >= MAX_PARSED_TESTS:
            raise ReportError(f"it has more than {MAX_PARSED_TESTS:,} tests", number)
        self._results += indent == 0
        text, directive = found["text"] or "", _DIRECTIVE.search(found["text"] or "")
        name = (text[: directive.start()] if directive else text).strip().replace("\\#", "#")
        # `# Subtest: x` stands before the results of the subtest, in its indentation or in that of its parent.
        closed = [each for each in self._suites if each[0] >= indent and each[1] == name]
        if closed:
            self._suites = [each for each in self._suites if each not in closed]
        suite = " > ".join(each for at, each in self._suites if at <= indent and each != name)
        test = TestResult(name=name or f"test {found['number'] or number}", suite=suite)
        word = (directive["word"] if directive else "").lower()
        if word == "skip" or (word == "todo" and found["not"]):
            test.outcome, test.message = "skipped", str(directive["why"] or word) if directive else ""
        elif found["not"]:
            test.outcome = "failed"
        test.rerun = test.name
        self.tests.append(test)
        self._last = test

    def _add_output(self, text: str) -> None:
        self._output.append(text)

    def _end_block(self) -> None:
        assert self._block is not None
        lines, self._block = self._block[1], None
        if self._last is None:
            return
        self._last.details = "\n".join(lines)[: 4 * MAX_TEXT_LENGTH]
        for line in lines:
            if (message := _MESSAGE.match(line)) and not self._last.message:
                self._last.message = message["text"].strip("'\"")
            elif duration := _DURATION.match(line):
                self._last.seconds = float(duration["text"]) / 1000 if duration["text"].count(".") < 2 else None
            elif file := _FILE.match(line):
                self._last.file = file[1]
            elif at := _LINE.match(line):
                self._last.line = int(at[1])

    def _bail_out(self, text: str) -> None:
        self._flush()
        message = text.removeprefix("Bail out!").strip() or "the tests were given up"
        self.tests.append(TestResult("Bail out!", outcome="error", message=message, rerun="Bail out!"))
        self.is_over = self._seen = True
        self._plan = None

    def _flush(self) -> None:
        if self._last is not None and self._output:
            self._last.output = "\n".join(self._output)[: 4 * MAX_TEXT_LENGTH]
        self._output = []

    def finish(self, number: int) -> None:
        """Check what only the end of the file shows. Raises ReportError."""
        if self._block is not None:
            self._end_block()
        self._flush()
        if not self._seen:
            raise ReportError("it is not a TAP report: it has no plan (1..N) and no line `ok` or `not ok`", 1)
        if self._plan is not None and self._results < self._plan:
            missing = self._plan - self._results
            text = f"{missing} of {self._plan} planned tests did not run"
            self.tests.append(
                TestResult("(plan)", outcome="error", message=f"{text}; the report ends at line {number}")
            )
