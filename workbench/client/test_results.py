"""The results of tests as the API sends them, decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FAILED_OUTCOMES = frozenset(("failed", "error"))


@dataclass(frozen=True)
class TestResult:
    """One test. `step` is the slug of its step; `key` identifies it among the tests of that step, also in histories."""

    __test__ = False

    step: str
    key: str
    name: str
    suite: str
    outcome: str
    seconds: float | None = None
    file: str | None = None
    line: int | None = None
    message: str | None = None
    details: str | None = None
    output: str | None = None
    rerun: str | None = None

    @property
    def failed(self) -> bool:
        return self.outcome in FAILED_OUTCOMES


@dataclass(frozen=True)
class StepTests:
    """The reports of a step: of its last attempt that has any."""

    step: str
    name: str
    attempt: int
    total: int
    failed: int
    skipped: int
    seconds: float
    can_rerun_failed: bool
    partial: bool
    """Whether only tests were run that had failed before."""
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class TestReport:
    """The tests of a run."""

    __test__ = False

    steps: tuple[StepTests, ...]
    tests: tuple[TestResult, ...]


@dataclass(frozen=True)
class TestHistory:
    """Letters of each test (by its key) in the last runs, oldest first: P, F, S, or - where it was not run."""

    __test__ = False

    runs: tuple[str, ...] = ()
    """The run of each letter."""
    tests: Mapping[str, str] = field(default_factory=dict)
    flaky: frozenset[str] = frozenset()


def decode_tests(page: Mapping[str, Any]) -> TestReport:
    """One page of the list."""
    return TestReport(
        tuple(_decode_step(each) for each in _objects(page.get("steps"))),
        tuple(_decode_test(each) for each in _objects(page.get("items"))),
    )


def decode_history(answer: Mapping[str, Any]) -> TestHistory:
    tests, flaky = answer.get("tests"), answer.get("flaky")
    return TestHistory(
        tuple(str(each.get("run") or "") for each in _objects(answer.get("attempts"))),
        {str(key): str(letters) for key, letters in tests.items()} if isinstance(tests, dict) else {},
        frozenset(str(key) for key in flaky) if isinstance(flaky, list) else frozenset(),
    )


def _decode_step(raw: Mapping[str, Any]) -> StepTests:
    warnings = raw.get("warnings")
    return StepTests(
        step=str(raw.get("step") or ""),
        name=str(raw.get("name") or ""),
        attempt=_number(raw.get("attempt")),
        total=_number(raw.get("total")),
        failed=_number(raw.get("failed")),
        skipped=_number(raw.get("skipped")),
        seconds=_seconds(raw.get("seconds")) or 0.0,
        can_rerun_failed=raw.get("canRerunFailed") is True,
        partial=raw.get("partial") is True,
        warnings=tuple(str(each) for each in warnings) if isinstance(warnings, list) else (),
    )


def _decode_test(raw: Mapping[str, Any]) -> TestResult:
    line = raw.get("line")
    return TestResult(
        step=str(raw.get("step") or ""),
        key=str(raw.get("key") or ""),
        name=str(raw.get("name") or ""),
        suite=str(raw.get("suite") or ""),
        outcome=str(raw.get("outcome") or ""),
        seconds=_seconds(raw.get("seconds")),
        file=_text(raw.get("file")),
        line=line if isinstance(line, int) else None,
        message=_text(raw.get("message")),
        details=_text(raw.get("details")),
        output=_text(raw.get("output")),
        rerun=_text(raw.get("rerun")),
    )


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
