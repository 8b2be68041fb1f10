"""What is held of runs that have ended."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from controller.api.serializers import serialize_run
from controller.run_types.summary import is_summary, reused_attempts, status_of, summarize_run


def run(phase: str) -> dict[str, Any]:
    reused = {"run": "ci-1", "uid": "u", "slug": "a", "attempt": 1}
    steps = [{"name": f"step-{at}", "phase": "Succeeded", "reused": reused} for at in range(100)]
    last_applied = {"kubectl.kubernetes.io/last-applied-configuration": "x" * 100_000, "other": "1"}
    metadata = {"name": "ci-2", "namespace": "team", "uid": "uid-2", "resourceVersion": "7", "managedFields": [{}]}
    return {
        "metadata": {**metadata, "annotations": last_applied, "labels": {"c8s.dev/run-number": "2"}},
        "spec": {"pipeline": {"name": "ci", "steps": ["x" * 100_000]}, "branch": "main", "changedFiles": ["a"]},
        "status": {"phase": phase, "message": "m", "steps": steps},
    }


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Cancelled"])
def test_an_ended_run_is_listed_from_its_summary(phase: str) -> None:
    whole = run(phase)
    summary = summarize_run(whole)
    assert serialize_run(summary, definition=False) == serialize_run(whole, definition=False)
    assert status_of(summary) == whole["status"]
    assert reused_attempts(summary) == reused_attempts(whole)


def test_a_summary_has_neither_definition_nor_steps() -> None:
    summary = summarize_run(run("Failed"))
    assert is_summary(summary)
    assert summary["spec"] == {"pipeline": {"name": "ci"}, "branch": "main"}
    assert summary["metadata"]["annotations"] == {"other": "1"}
    assert len(repr(summary)) < 20_000
    assert sys.getsizeof(summary["packedSteps"]) < 2_000


def test_an_active_run_stays_whole() -> None:
    active = run("Running")
    assert summarize_run(active) is active
    assert not is_summary(active)


def test_a_summary_is_not_summarized_again() -> None:
    summary = summarize_run(run("Failed"))
    assert summarize_run(summary) is summary
