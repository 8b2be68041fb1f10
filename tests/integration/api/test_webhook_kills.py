"""A controller that is killed at any write after a delivery: one run, each step once, one final commit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.webhooks.kills import kill_at_writes

pytestmark = pytest.mark.xdist_group("controller")


def test_each_delivery_ends_in_one_run_and_one_final_status_wherever_the_controller_dies(tmp_path: Path) -> None:
    """At some of the writes, before and after each; the benchmark goes through all of them."""
    found = kill_at_writes(tmp_path, every=10)
    assert found.wrong == []
    assert found.kills >= 4
    assert found.deliveries >= found.kills + 2
