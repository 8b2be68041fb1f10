"""The usage of an attempt: peaks, and a bounded number of values over time."""

import pytest

from controller.run_types.status_size import json_size
from controller.usage.series import MAX_POINTS, add_sample, parse_metric

MEBIBYTE = 1024**2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250m", 0.25),
        ("12345678n", 0.012345678),
        ("80Ki", 81920),
        ("1", 1),
        ("1.5Gi", 1.5 * 1024**3),
        ("x", None),
        (None, None),
    ],
)
def test_quantities_of_metrics_are_read(text: object, value: float | None) -> None:
    assert parse_metric(text) == value


def test_peaks_are_kept_and_values_are_halved_when_there_are_too_many() -> None:
    usage = None
    for number in range(1000):
        usage = add_sample(usage, cores=number / 1000, memory=(1000 - number) * MEBIBYTE, interval=2.0)
        assert len(usage["cpuOverTime"]) == len(usage["memoryOverTime"]) <= MAX_POINTS
    assert usage is not None
    assert (usage["memory"], usage["cpu"], usage["samples"]) == (1000 * MEBIBYTE, 999, 1000)
    assert usage["cpuOverTime"] == sorted(usage["cpuOverTime"])
    assert max(usage["cpuOverTime"]) == usage["cpu"]
    assert usage["interval"] == 2.0 * usage["every"]
    assert json_size(usage) < 600


def test_a_new_leader_goes_on_from_what_the_status_has() -> None:
    first = add_sample(None, 0.5, 10 * MEBIBYTE, 2.0)
    second = add_sample(first, 0.25, 5 * MEBIBYTE, 2.0)
    assert (second["samples"], second["cpu"], second["memory"]) == (2, 500, 10 * MEBIBYTE)
    assert first["samples"] == 1
