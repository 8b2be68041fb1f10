"""What is shown of tests: their order, names, histories and places. Pure, but for `find_test_source`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.client.test_results import TestHistory, TestReport, TestResult
from workbench.report.source_location import SourceLocation, find_source

SIGNS: Mapping[str, str] = {"passed": "✓", "failed": "✗", "error": "E", "skipped": "»"}
"""One for each outcome, also in ASCII; a skipped test has that of a skipped step."""
_LETTERS: Mapping[str, str] = {"P": "✓", "F": "✗", "S": "»", "-": "·"}
"""What is kept of an earlier run does not tell an error from a failure."""
_ORDER = {"failed": 0, "error": 0, "skipped": 2, "passed": 3}
_DEFINITION = re.compile(r"\s*(?:async\s+)?(?:def|class|func)\s+(?:\([^)]*\)\s*)?(?P<name>\w+)")
_MAX_SOURCE_BYTES = 2 * 1024 * 1024

Histories = Mapping[str, TestHistory]
"""By the slug of the step."""


def history_of(test: TestResult, histories: Histories) -> str:
    """The letters of a test in the last runs, oldest first; empty if they are not known."""
    found = histories.get(test.step)
    return found.tests.get(test.key, "") if found is not None else ""


def is_flaky(test: TestResult, histories: Histories) -> bool:
    """Whether the test has failed and passed on the same inputs."""
    found = histories.get(test.step)
    return found is not None and test.key in found.flaky


def history_signs(letters: str, count: int) -> str:
    """The last `count` outcomes of a history as signs, such as `✓✗✓`."""
    return "".join(_LETTERS.get(letter, "·") for letter in letters[-count:])


def ordered(tests: Iterable[TestResult], histories: Histories) -> list[TestResult]:
    """Those that failed first, then the flaky ones, then those that were skipped; else as they were reported."""

    def rank(test: TestResult) -> int:
        return 1 if not test.failed and is_flaky(test, histories) else _ORDER.get(test.outcome, 3)

    return sorted(tests, key=rank)


def display_name(test: TestResult) -> str:
    """The name with what it belongs to, such as `tests.test_cart › test_total`."""
    return f"{test.suite} › {test.name}" if test.suite and not test.name.startswith(test.suite) else test.name


@dataclass(frozen=True)
class DetailLine:
    """A line of what is shown of a test. `kind`: `title`, `message`, `expected`, `actual`, `plain` or `muted`."""

    text: str
    kind: str = "plain"


_EXPECTED = re.compile(r"^(?:E\s+)?-(?!--)")
_ACTUAL = re.compile(r"^(?:E\s+)?\+(?!\+\+)")
_ERROR = re.compile(r"^E\s|^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception)\b|^panic:")


def detail_lines(test: TestResult) -> Iterator[DetailLine]:
    """The message, the details with their differences, and the output of a test."""
    if test.message:
        yield from (DetailLine(line, "message") for line in test.message.splitlines())
    if test.details and test.details.strip() != (test.message or "").strip():
        yield DetailLine("")
        for line in test.details.strip("\n").splitlines():
            if _EXPECTED.match(line):
                yield DetailLine(line, "expected")
            elif _ACTUAL.match(line):
                yield DetailLine(line, "actual")
            else:
                yield DetailLine(line, "message" if _ERROR.match(line) else "plain")
    if test.output:
        yield DetailLine("")
        yield DetailLine("Output", "title")
        yield from (DetailLine(line) for line in test.output.strip("\n").splitlines())
    if not (test.message or test.details or test.output):
        said = {"passed": "It passed; the output of tests that pass is not kept.", "skipped": "It was skipped."}
        yield DetailLine(said.get(test.outcome, "The report says nothing more about it."), "muted")


def summary_text(report: TestReport, flaky: int = 0) -> str:
    """`3 of 120 tests failed, 2 skipped, 1 flaky`."""
    total, failed, skipped = (
        sum(getattr(step, name) for step in report.steps) for name in ("total", "failed", "skipped")
    )
    if not total:
        return "no tests"
    tests = "test" if total == 1 else "tests"
    text = f"{failed:,} of {total:,} {tests} failed" if failed else f"{total:,} {tests}, none failed"
    return text + (f", {skipped:,} skipped" if skipped else "") + (f", {flaky:,} flaky" if flaky else "")


def find_test_source(root: Path, test: TestResult, working_dir: str | None = None) -> SourceLocation | None:
    """The line of a file below `root` where a test has failed, or where it is. It reads the file system."""
    if test.file:
        found = find_source(root, test.file, test.line or 1, working_dir)
        if found is None and "/" not in test.file and "/" in test.suite:
            # `go test` names the file alone; the package says in which folder it is.
            parts = test.suite.split("/")
            tails = ("/".join([*parts[at:], test.file]) for at in range(len(parts)))
            found = next(
                (each for tail in tails if (each := find_source(root, tail, test.line or 1, working_dir))), None
            )
        if found is not None:
            return found
    return _python_source(root, test, working_dir)


def _python_source(root: Path, test: TestResult, working_dir: str | None) -> SourceLocation | None:
    """The file of the module that the suite names, and in it the line of the test's definition."""
    parts = test.suite.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    for count in range(len(parts), 0, -1):
        found = find_source(root, "/".join(parts[:count]) + ".py", 1, working_dir)
        if found is not None:
            return SourceLocation(found.path, found.name, _definition_line(found.path, test.name.partition("[")[0]))
    return None


def _definition_line(path: Path, name: str) -> int:
    try:
        if path.stat().st_size > _MAX_SOURCE_BYTES:
            return 1
        text = path.read_text("utf-8", "replace")
    except OSError:
        return 1
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if (m := _DEFINITION.match(line)) and m["name"] == name), 1)
