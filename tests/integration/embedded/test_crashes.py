"""Killed at any moment, the cluster comes back with all it acknowledged, and ends what it had left running."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.embedded_crashes import crash_and_check

_KILLS = 5


@pytest.mark.skipif(sys.platform != "linux", reason="after a crash, processes are found on Linux only")
def test_kills_at_random_moments_lose_nothing_and_leave_nothing(tmp_path: Path) -> None:
    counted: dict[str, int] = {}
    for seed in range(_KILLS):
        wrong, found, moment = crash_and_check(tmp_path, seed, within=400)
        assert wrong == [], f"killed after {moment:.0f} ms"
        counted = {key: counted.get(key, 0) + value for key, value in found.items()}
    # It was killed in the midst of something.
    assert counted["objects"] > 50
    assert counted["lost pods"] > 0
    assert counted["processes left"] > 0
