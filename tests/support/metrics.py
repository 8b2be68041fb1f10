"""Reads metrics as a scrape would show them."""

from __future__ import annotations

from controller.metrics.duration_histogram import DurationHistogram


def series(histogram: DurationHistogram) -> dict[tuple[str, str | None], float]:
    """The series of a histogram with one value of its label: (name, upper bound) -> value; None for no bound."""
    samples = [sample for metric in histogram.collect() for sample in metric.samples]
    return {(sample.name, sample.labels.get("le")): sample.value for sample in samples}
