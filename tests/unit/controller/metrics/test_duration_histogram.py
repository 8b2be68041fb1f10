"""Histograms that are created when they are read."""

from __future__ import annotations

import subprocess
import sys

from controller.metrics.duration_histogram import MAX_PENDING, DurationHistogram
from tests.support.metrics import series


def new_histogram(*values: str) -> DurationHistogram:
    return DurationHistogram("d_seconds", "Durations.", "name", (1.0, 2.0), values)


def test_observations_before_the_first_scrape_are_counted() -> None:
    histogram = new_histogram()
    histogram.observe("a", 0.5)
    histogram.observe("a", 1.5)
    found = series(histogram)
    assert found["d_seconds_bucket", "1.0"] == 1
    assert found["d_seconds_bucket", "2.0"] == 2
    assert found["d_seconds_sum", None] == 2.0
    histogram.observe("a", 5.0)
    assert series(histogram)["d_seconds_bucket", "+Inf"] == 3


def test_listed_values_are_exposed_before_anything_is_observed() -> None:
    assert series(new_histogram("a"))["d_seconds_count", None] == 0
    assert series(new_histogram()) == {}


def test_observations_that_nobody_reads_take_bounded_memory() -> None:
    histogram = new_histogram()
    for _ in range(3 * MAX_PENDING + 1):
        histogram.observe("a", 0.5)
    assert len(histogram._pending) == 1
    assert series(histogram)["d_seconds_count", None] == 3 * MAX_PENDING + 1


def test_an_observation_imports_nothing() -> None:
    code = (
        "import sys; from controller.metrics.duration_histogram import DurationHistogram as H; "
        "H('d', '', 'name', (1.0,)).observe('a', 1.0); print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
