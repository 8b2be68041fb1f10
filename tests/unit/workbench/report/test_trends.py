"""What is shown of statistics."""

from dataclasses import replace

import pytest

from workbench.client.statistics import Slower, StepTrend, Trend, decode_statistics
from workbench.report.resources import requested_resources
from workbench.report.trends import is_slow, resource_advice, slower_text, sparkline, trend_text

MEBIBYTE = 1024**2


def used(memory: int, cpu: int, runs: int = 5) -> StepTrend:
    trend = ("test", 9, 0, (1.0,), 1.0, 1.0, None)
    return StepTrend(*trend, peak_memory=memory, peak_cpu=cpu, usage_samples=runs, runs_with_usage=runs)


def test_a_sparkline_has_a_bar_for_each_duration_and_a_dot_for_what_does_not_count() -> None:
    assert sparkline((0.0, 5.0, None, 10.0), 10) == "▁▅·█"
    assert sparkline((0.0, 5.0, None, 10.0), 2) == "·█"
    assert sparkline((0.0, 5.0, None, 10.0), 10, ascii_only=True) == "_+·@"
    assert sparkline((), 10) == ""
    assert sparkline((0.0, 0.0), 10) == "▁▁"


def test_a_slower_pipeline_names_the_commit() -> None:
    slower = Slower(12.3, 45, "shop-12", "1a2b3c4d5e6f")
    assert slower_text(slower) == "45% slower than 12.3s since 1a2b3c4d5e (shop-12)"
    trend = Trend("shop", 2, 0, (10.0, 15.0), 12.5, 15.0, Slower(10.0, None, "shop-2", None))
    assert trend_text(trend, 10) == "median 12.5s ▆█ ↑ slower than 10.0s since shop-2"
    assert trend_text(Trend("shop", 0, 1, (None,), None, None, None), 10) == ""


@pytest.mark.parametrize(
    ("seconds", "median", "slow"), [(14.0, 10.0, True), (12.9, 10.0, False), (0.4, 0.1, False), (None, 1.0, False)]
)
def test_slow_is_much_more_than_the_median(seconds: float | None, median: float, slow: bool) -> None:
    assert is_slow(seconds, median) is slow


def test_advice_names_what_is_asked_for_and_what_was_used() -> None:
    assert resource_advice(used(300 * MEBIBYTE, 800), 2048 * MEBIBYTE, 1000) == [
        "asks for 2.0 GiB of memory, never used more than 300.0 MiB"
    ]
    assert resource_advice(used(100 * MEBIBYTE, 990), 120 * MEBIBYTE, 1000) == [
        "asks for 1.00 cores and used all of it: with more it may be faster"
    ]
    assert resource_advice(used(119 * MEBIBYTE, 100, runs=1), 120 * MEBIBYTE, 4000) == [
        "asks for 120.0 MiB of memory and used up to 119.0 MiB: more than it asks for ends it (OOMKilled)"
    ]
    assert resource_advice(used(100 * MEBIBYTE, 100, runs=0), 2048 * MEBIBYTE, 4000) == []
    assert resource_advice(used(100 * MEBIBYTE, 100, runs=4), 2048 * MEBIBYTE, 4000) == []


def test_advice_counts_the_runs_that_ran_out_of_memory() -> None:
    unmeasured = replace(used(0, 0, runs=0), out_of_memory=4)
    assert resource_advice(unmeasured, 64 * MEBIBYTE, None) == [
        "ran out of memory in 4 runs (OOMKilled): it asks for 64.0 MiB"
    ]
    measured = replace(used(10 * MEBIBYTE, 100), out_of_memory=1)
    assert resource_advice(measured, 512 * MEBIBYTE, None) == [
        "ran out of memory in 1 run (OOMKilled): it asks for 512.0 MiB"
    ]
    assert resource_advice(measured, None, None) == [
        "ran out of memory in 1 run (OOMKilled): it has no limit of its own"
    ]


def test_cpu_counts_as_used_up_a_little_below_the_limit() -> None:
    assert resource_advice(used(10 * MEBIBYTE, 90), None, 100) == [
        "asks for 0.10 cores and used all of it: with more it may be faster"
    ]
    assert resource_advice(used(10 * MEBIBYTE, 89), None, 100) == []


def test_resources_are_read_from_a_definition() -> None:
    steps = [{"name": "a", "resources": {"cpu": "500m", "memory": "2Gi"}}, {"name": "b"}, {"name": "c", "resources": 3}]
    steps.append({"name": "d", "resources": {"cpu": "much"}})
    assert requested_resources({"steps": steps}) == {"a": (2048 * MEBIBYTE, 500), "d": (None, None)}
    assert requested_resources({"steps": "x"}) == {}


def test_what_the_api_does_not_say_is_unknown() -> None:
    found = decode_statistics({"pipeline": "p", "seconds": [1, None, "x"], "steps": [{"name": "s", "tests": 3}, 4]})
    assert (found.seconds, found.median, found.slower) == ((1.0, None, None), None, None)
    assert [(step.name, step.tests) for step in found.steps] == [("s", None)]
