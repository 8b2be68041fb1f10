"""Medians and what has become slower, since when."""

from typing import Any

import pytest

from controller.run_types.summary import summarize_run
from controller.statistics.records import make_record, pipeline_of_record
from controller.statistics.trends import pipeline_statistics, slower_since


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([], None),
        ([10.0] * 6, None),
        ([10.0] * 5 + [13.1], 5),
        ([10.0] * 4 + [20.0], None),
        ([10.0] * 5 + [12.9], None),
        ([0.1] * 9 + [0.5], None),
        ([10.0] * 6 + [15.0, 16.0, 15.5], 6),
        ([10.0] * 6 + [15.0, 10.0, 15.5], 8),
        ([10.0] * 6 + [15.0, 10.0], None),
    ],
)
def test_slower_is_what_stays_above_the_median_before_it(durations: list[float], expected: int | None) -> None:
    assert slower_since(durations) == expected


def ended_run(number: int, seconds: float, *, phase: str = "Succeeded", **step: Any) -> dict[str, Any]:
    times = {
        "queued": "2026-01-01T00:00:00.000000Z",
        "created": "2026-01-01T00:00:01.000000Z",
        "running": "2026-01-01T00:00:02.500000Z",
        "finished": f"2026-01-01T00:00:{2.5 + seconds:09.6f}Z",
    }
    attempt = {"number": 1, "times": times, "log": {"bytes": 100}, "tests": {"total": 3, "failed": 1, "skipped": 0}}
    return {
        "metadata": {
            "name": f"shop-{number}", "namespace": "default", "uid": f"u{number}",
            "labels": {"c8s.dev/run-number": str(number)}, "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"pipeline": {"name": "shop", "steps": []}, "commit": f"c{number}"},
        "status": {
            "phase": phase,
            "startTime": "2026-01-01T00:00:00.000000Z",
            "completionTime": f"2026-01-01T00:{number:02}:50.000000Z",
            "steps": [
                {"name": "test", "slug": "test", "phase": phase, "attempts": [attempt],
                 "artifacts": {"files": 1, "bytes": 7}, **step}
            ],
        },
    }  # fmt: skip


def test_a_record_is_the_same_of_a_run_and_of_its_summary() -> None:
    run = ended_run(1, 2.0)
    record = make_record(run)
    assert make_record(summarize_run(run)) == record
    assert record["steps"] == [{"n": "test", "p": "Succeeded", "s": 2.0, "q": 2.5, "a": 7, "l": 100, "t": [3, 1, 0]}]
    assert (record["number"], record["commit"]) == (1, "c1")


def test_steps_that_ran_out_of_memory_are_counted_by_run() -> None:
    killed, fine = ended_run(1, 2.0, phase="Failed"), ended_run(2, 2.0)
    attempt = killed["status"]["steps"][0]["attempts"][0]
    killed["status"]["steps"][0]["attempts"] = [{**attempt, "reason": "OOMKilled"}, {**attempt, "reason": "OOMKilled"}]
    (step,) = pipeline_statistics("shop", [make_record(killed), make_record(fine)])["steps"]
    assert step["outOfMemory"] == 1


def test_running_runs_debug_copies_and_runs_of_forks_are_not_recorded() -> None:
    assert pipeline_of_record(ended_run(1, 1.0)) == "shop"
    assert pipeline_of_record(ended_run(1, 1.0, phase="Running")) is None
    copy, fork = ended_run(1, 1.0), ended_run(1, 1.0)
    copy["spec"]["source"] = {"kept": {"run": "shop-1"}}
    fork["spec"]["trigger"] = {"fork": True}
    assert pipeline_of_record(copy) is pipeline_of_record(fork) is None


def test_statistics_name_the_commit_since_which_a_step_is_slower() -> None:
    runs = [ended_run(number, 10.0 if number < 7 else 15.0) for number in range(1, 9)]
    runs.insert(3, ended_run(20, 30.0, phase="Failed"))
    runs.append(ended_run(9, 0.0, reused={"run": "shop-8"}))
    found = pipeline_statistics("shop", [make_record(run) for run in runs])
    (step,) = found["steps"]
    assert step["slower"] == {"beforeSeconds": 10.0, "percent": 50, "sinceRun": "shop-7", "sinceCommit": "c7"}
    assert (step["failed"], step["reused"], step["medianQueueSeconds"]) == (1, 1, 2.5)
    assert step["seconds"][3] is None
    assert step["tests"] == {"total": 3, "failed": 1, "skipped": 0}
    assert (found["count"], found["failed"]) == (10, 1)
