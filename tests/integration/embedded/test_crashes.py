"""A cluster that is killed at any time keeps acknowledged objects and kills orphaned processes at its start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.embedded.crashes import crash_and_check

_KILLS = 5


@pytest.mark.skipif(sys.platform != "linux", reason="after a crash, processes are found on Linux only")
def test_random_kills_lose_no_object_and_leave_no_process(tmp_path: Path) -> None:
    counted: dict[str, int] = {}
    for seed in range(_KILLS):
        wrong, found, moment = crash_and_check(tmp_path, seed, within=400)
        assert wrong == [], f"killed after {moment:.0f} ms"
        counted = {key: counted.get(key, 0) + value for key, value in found.items()}
    # The kills happened while the cluster was busy.
    assert counted["objects"] >= 20
    assert counted["lost pods"] > 0
    assert counted["processes left"] > 0
