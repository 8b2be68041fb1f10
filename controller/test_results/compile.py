"""Makes the document of an attempt's tests from its reports: parsed, masked, bounded. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from controller.logs.failure.location import find_source_location
from controller.test_results.bundle import ReportFile, read_bundle
from controller.test_results.documents import encode_document
from controller.test_results.gotest import parse_gotest
from controller.test_results.history import history_key, pack_outcomes
from controller.test_results.junit import parse_junit
from controller.test_results.masking import mask_texts
from controller.test_results.model import (
    FAILED_OUTCOMES,
    MAX_MESSAGE_LENGTH,
    MAX_NAME_LENGTH,
    MAX_PARSED_TESTS,
    MAX_TESTS,
    MAX_TEXT_LENGTH,
    MAX_TEXTS_LENGTH,
    MAX_WARNING_LENGTH,
    MAX_WARNINGS,
    Json,
    ReportError,
    TestResult,
    shorten,
)
from controller.test_results.tap import parse_tap

_PARSERS: Mapping[str, Callable[[bytes], list[TestResult]]] = {
    "junit": parse_junit,
    "tap": parse_tap,
    "gotest": parse_gotest,
}
_ORDER = {"failed": 0, "error": 0, "skipped": 1, "passed": 2}


@dataclass(frozen=True)
class CompiledTests:
    """What is stored of an attempt's tests: the document, the outcomes for the history, and the counts."""

    document: bytes
    outcomes: bytes
    counts: Json


@dataclass
class _Found:
    tests: list[TestResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    dropped: int = 0
    """Warnings beyond the maximum."""

    def warn(self, text: str) -> None:
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(text)
        else:
            self.dropped += 1


def compile_reports(body: bytes, secrets: Collection[bytes]) -> CompiledTests:
    """Read the reports that an agent has sent.

    Args:
        body: as `bundle` describes it.
        secrets: values that must not appear in what is stored.

    A file that can't be read gives a warning that names it, and the line.
    """
    found = _Found()
    try:
        for file in read_bundle(body):
            _read(file, found)
    except ReportError as error:
        found.warn(f"the reports that the agent has sent can't be read: {error}")
    return finish(found.tests, found.warnings, found.dropped, secrets)


def problem_document(problem: str) -> CompiledTests:
    """What is stored where the reports could not be read within the limits."""
    return finish([], [problem], 0, ())


def _read(file: ReportFile, found: _Found) -> None:
    if file.problem:
        found.warn(f"{file.path}: {file.problem}")
        return
    try:
        tests = _PARSERS[file.format](file.data)
    except ReportError as error:
        where = f"{file.path}:{error.line}" if error.line is not None else file.path
        found.warn(f"{where}: {error}")
        return
    if not tests:
        found.warn(f"{file.path}: it has no tests")
    room = MAX_PARSED_TESTS - len(found.tests)
    if len(tests) > room:
        found.warn(f"{file.path}: only the first {room:,} of its tests are read: {MAX_PARSED_TESTS:,} in all")
    found.tests += tests[:room]


def finish(tests: list[TestResult], warnings: list[str], dropped: int, secrets: Iterable[bytes]) -> CompiledTests:
    """Bound, mask and encode what was read."""
    counts = _counts(tests)
    chosen = sorted(tests, key=lambda test: _ORDER[test.outcome])
    if len(chosen) > MAX_TESTS:
        warnings = [f"{len(chosen):,} tests were counted, {MAX_TESTS:,} are listed", *warnings][:MAX_WARNINGS]
        chosen = chosen[:MAX_TESTS]
    for test in chosen:
        _locate(test)
    _bound(chosen)
    fields = ("suite", "name", "file", "message", "details", "output", "rerun")
    texts = [getattr(test, name) for test in chosen for name in fields] + warnings
    masked = mask_texts(texts, secrets)
    for index, test in enumerate(chosen):
        for offset, name in enumerate(fields):
            setattr(test, name, masked[index * len(fields) + offset])
        test.name, test.suite, test.file = (_one_line(each) for each in (test.name, test.suite, test.file))
        test.rerun = _one_line(test.rerun)
    said = [shorten(_one_line(each), MAX_WARNING_LENGTH) for each in masked[len(chosen) * len(fields) :]]
    counts |= {"warnings": len(said) + dropped} | ({"warning": said[0]} if said else {})
    keys = [history_key(test.suite, test.name) for test in chosen]
    document = encode_document(chosen, keys, said, counts)
    return CompiledTests(document, pack_outcomes(keys, [test.outcome for test in chosen]), counts)


def _counts(tests: Iterable[TestResult]) -> Json:
    counts: Json = {"total": 0, "failed": 0, "skipped": 0, "seconds": 0.0}
    for test in tests:
        counts["total"] += 1
        counts["failed"] += test.outcome in FAILED_OUTCOMES
        counts["skipped"] += test.outcome == "skipped"
        counts["seconds"] += test.seconds or 0.0
    counts["seconds"] = round(counts["seconds"], 3)
    return counts


def _locate(test: TestResult) -> None:
    """Take the place of the failure, which the details may name, for that of the test."""
    if test.outcome not in FAILED_OUTCOMES or not test.details:
        return
    lines = test.details[-MAX_TEXT_LENGTH:].splitlines()
    # Tools name the innermost place last; the last lines are looked at first.
    for at in range(len(lines) - 1, max(len(lines) - 60, -1), -1):
        found = find_source_location(lines[at], lines[max(0, at - 12) : at], [])
        if found is not None:
            test.file, test.line = found
            return


def _bound(tests: Iterable[TestResult]) -> None:
    """Shorten texts; those of passed tests are left out, and all of them together have a limit."""
    left = MAX_TEXTS_LENGTH
    for test in tests:
        test.suite, test.name = test.suite[:MAX_NAME_LENGTH], test.name[:MAX_NAME_LENGTH]
        test.file, test.rerun = test.file[:MAX_NAME_LENGTH], test.rerun[: 2 * MAX_NAME_LENGTH]
        test.message = shorten(test.message, MAX_MESSAGE_LENGTH)
        if test.outcome not in FAILED_OUTCOMES:
            test.details = test.output = ""
            continue
        test.details = shorten(test.details, min(MAX_TEXT_LENGTH, max(left, 0))) if left > 200 else ""
        left -= len(test.details)
        test.output = shorten(test.output, min(MAX_TEXT_LENGTH, max(left, 0))) if left > 200 else ""
        left -= len(test.output)


def _one_line(text: str) -> str:
    return " ".join(text.split())
