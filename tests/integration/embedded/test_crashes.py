"""A cluster that is killed at any time keeps acknowledged objects and kills orphaned processes at its start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.embedded.crashes import crash_and_check

_KILLS = 5
_EARLY_KILLS = 2
"""Those that come while the cluster may have nothing yet."""


@pytest.mark.skipif(sys.platform != "linux", reason="after a crash, processes are found on Linux only")
def test_random_kills_lose_no_object_and_leave_no_process(tmp_path: Path) -> None:
    counted: dict[str, int] = {}
    for seed in range(_KILLS):
        wrong, found, moment = crash_and_check(tmp_path, seed, within=400, busy=seed >= _EARLY_KILLS)
        assert wrong == [], f"killed after {moment:.0f} ms"
        counted = {key: counted.get(key, 0) + value for key, value in found.items()}
    # There was something to lose.
    assert counted["objects"] >= 10 * (_KILLS - _EARLY_KILLS)
    assert counted["lost pods"] > 0
    assert counted["processes left"] > 0
