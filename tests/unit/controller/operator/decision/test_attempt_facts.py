"""What an attempt's status has of its tests and of what it used."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from controller import labels
from controller.operator.decision.attempts import update_attempt
from controller.operator.decision.observation import AttemptView
from controller.operator.decision.pods.agent_report import read_report
from controller.pipeline.model import Step
from controller.run_types.status_size import shorten, summarize_attempts

COUNTS = {"total": 3, "failed": 1, "skipped": 0, "warnings": 1}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(tests: Any) -> dict[str, Any]:
    return {"metadata": {"annotations": {labels.AGENT_REPORT: json.dumps({"tests": tests})}}}


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (COUNTS, COUNTS),
        (COUNTS | {"warning": "x" * 999, "more": 1}, COUNTS | {"warning": "x" * 300}),
        (COUNTS | {"total": -5}, COUNTS | {"total": 0}),
        ({"total": 3}, None),
        (COUNTS | {"failed": "many"}, None),
        ([1], None),
    ],
)
def test_counts_of_tests_are_taken_from_the_agent_as_far_as_they_are_counts(reported: Any, expected: Any) -> None:
    assert read_report(job(reported), None).tests == expected


def test_an_ended_attempt_still_gets_its_tests_and_the_last_measurement() -> None:
    usage: Any = {"memory": 5, "cpu": 6, "samples": 2, "memoryOverTime": [1], "cpuOverTime": [6]}
    attempt: Any = {"number": 1, "jobName": "j", "phase": "Failed", "reason": "ExitCode", "times": {"created": "x"}}
    view = AttemptView(report=read_report(job(COUNTS), None), usage=usage)
    step = Step(name="a", image="b", commands=["c"])
    fresh = update_attempt(attempt, view, step, NOW, stopped_by="")
    assert (fresh["tests"], fresh["usage"]) == (COUNTS, usage)
    older: Any = AttemptView(usage={**usage, "samples": 1})
    assert update_attempt(fresh, older, step, NOW, stopped_by="")["usage"] == usage


def test_a_shortened_status_keeps_counts_and_peaks() -> None:
    usage = {"memory": 5, "cpu": 6, "samples": 2, "memoryOverTime": [1], "cpuOverTime": [6]}
    attempt: Any = {"number": 1, "phase": "Failed", "tests": COUNTS | {"warning": "w"}, "usage": usage, "times": {}}
    status: Any = {"phase": "Failed", "steps": [{"name": "a", "attempts": [attempt]}]}
    (short,) = shorten(status, 1, 9)["steps"][0]["attempts"]
    assert (short["tests"], short["usage"]) == (COUNTS, {"memory": 5, "cpu": 6, "samples": 2})
    earlier, _ = summarize_attempts([attempt, attempt])
    assert (earlier["tests"]["failed"], "usage" in earlier) == (1, False)
