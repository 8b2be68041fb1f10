"""What a status keeps when it is summarised, and when it has become too large to be stored."""

from __future__ import annotations

from typing import Any

import pytest

from controller.run_types import status_size
from controller.run_types.status_size import fitting_level, json_size, shorten, summarize_attempts

Json = dict[str, Any]
TIME = "2026-01-01T00:00:00.123456Z"
ETCD_LIMIT = 1_572_864


def attempt(number: int, *, line: str = "l" * 300, message: str = "exit code 1") -> Json:
    names = ("queued", "created", "scheduled", "pulling", "fetching", "running", "finished", "uploaded")
    return {
        "number": number,
        "jobName": f"my-service-pull-request-1234--step-000-abcdef-{number}",
        "podName": f"my-service-pull-request-1234--step-000-abcdef-{number}-abcde",
        "phase": "Failed",
        "reason": "ExitCode",
        "message": message,
        "exitCode": 1,
        "times": dict.fromkeys(names, TIME),
        "containers": ["agent", "step"],
        "log": {
            "lines": 12000,
            "bytes": 1234567,
            "sha256": "a" * 64,
            "archived": True,
            "firstFailure": {"line": 11234, "text": line, "file": "src/test_module.py", "fileLine": 1234},
            "lastLine": line,
        },
    }


def status(steps: int, attempts: int, *, line: str = "l" * 300) -> Json:
    """A run in which every step has failed as often as it could, with long lines."""
    return {
        "phase": "Failed",
        "reason": "StepFailed",
        "message": "step-0 failed",
        "conditions": [{"type": "Succeeded", "status": "False", "message": "step-0 failed"}],
        "steps": [
            {
                "name": f"step-{index:03}-" + "n" * 20,
                "slug": f"step-{index:03}",
                "dependsOn": [f"step-{before:03}-" + "n" * 20 for before in range(5)],
                "allowFailure": False,
                "phase": "Failed",
                "reason": "ExitCode",
                "message": f"exit code 1: {line}",
                "startTime": TIME,
                "completionTime": TIME,
                "inputs": "a" * 64,
                "firstFailure": {"line": 11234, "text": line, "file": "src/test_module.py", "fileLine": 1234},
                "attempts": summarize_attempts([attempt(number + 1, line=line) for number in range(attempts)]),
            }
            for index in range(steps)
        ],
    }


def test_earlier_attempts_keep_their_outcome_and_no_text() -> None:
    first, last = summarize_attempts([attempt(1, message="m" * 500), attempt(2)])
    assert last == attempt(2)
    assert (first["phase"], first["reason"], first["exitCode"], first["log"]["lines"]) == (
        "Failed",
        "ExitCode",
        1,
        12000,
    )
    assert set(first["times"]) == {"queued", "created", "running", "finished"}
    assert "firstFailure" not in first["log"]
    assert len(first["message"]) == 100


def test_summarizing_twice_changes_nothing() -> None:
    once = summarize_attempts([attempt(1), attempt(2)])
    assert summarize_attempts(once) == once


@pytest.mark.parametrize(
    "more",
    [
        {"message": "m" * 101},
        {"log": {"lines": 1, "bytes": 1, "archived": True, "lastLine": "x"}},
        {"times": {"queued": "t", "pulling": "t"}},
        {"created": 1},
    ],
)
def test_a_summary_that_has_more_of_anything_is_summarized(more: dict[str, Any]) -> None:
    once = summarize_attempts([attempt(1), attempt(2)])
    changed, _ = summarize_attempts([{**once[0], **more}, once[1]])  # type: ignore[typeddict-item]
    assert all(changed.get(key) != value for key, value in more.items())


def test_300_steps_with_4_attempts_fit_into_one_object() -> None:
    level, size = fitting_level(status(300, 4), 0, 100_000)
    assert size < ETCD_LIMIT
    assert level <= 1
    assert json_size(shorten(status(300, 4), level, size)) + 100_000 <= status_size.MAX_OBJECT_BYTES


def test_a_status_that_is_too_large_loses_its_texts_first() -> None:
    found = status(300, 11, line="ü" * 300)
    level, size = fitting_level(found, 0, 100_000)
    less = shorten(found, level, size)
    assert json_size(less) + 100_000 <= status_size.MAX_OBJECT_BYTES
    assert [step["phase"] for step in less["steps"]] == ["Failed"] * 300
    assert [len(step["attempts"]) for step in less["steps"]] == [11] * 300
    assert "left out of the status" in less["message"]
    assert less["conditions"][-1]["type"] == "StatusShortened"
    assert less["conditions"][-1]["reason"] == "StatusTooLarge"


def test_the_last_level_keeps_what_is_said_of_the_run() -> None:
    less = shorten(status(300, 4), status_size.MOST_SHORTENED, 2_000_000)
    assert (less["phase"], less["reason"], less["steps"]) == ("Failed", "StepFailed", [])
    assert "2,000,000 bytes" in less["message"]
    assert json_size(less) < 4_000


def test_a_level_that_was_needed_before_stays() -> None:
    assert fitting_level(status(1, 1), 2, 1000)[0] == 2


def test_the_least_size_of_a_step_covers_its_shortest_status() -> None:
    found = status(1, 4)
    step = {**found["steps"][0], "matrixOf": "step-000", "artifacts": {"files": 200_000, "bytes": 1 << 40}}
    shortest = shorten({**found, "steps": [step]}, 2, 0)["steps"][0]
    bound = status_size.least_step_bytes(step["name"], "step-000", step["dependsOn"], 4)
    assert json_size(shortest) <= bound
