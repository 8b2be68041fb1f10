"""Until when the token of an agent is good for an attempt."""

from typing import Any

import pytest

from controller.api.routes.agent.access import has_ended


def run_with(*attempts: tuple[str, dict[str, str]], phase: str = "Running") -> dict[str, Any]:
    entries = [{"number": n, "phase": phase, "times": times} for n, (phase, times) in enumerate(attempts, start=1)]
    return {"status": {"phase": phase, "steps": [{"slug": "test", "name": "test", "attempts": entries}]}}


@pytest.mark.parametrize(
    ("run", "ended", "ended_after_retry"),
    [
        (run_with(), False, False),
        (run_with(("Running", {})), False, False),
        (run_with(("Failed", {})), False, False),
        (run_with(("Failed", {"ended": "x"})), True, True),
        (run_with(("Failed", {}), ("Running", {})), True, False),
        (run_with(("Failed", {"ended": "x"}), ("Running", {})), True, True),
        (run_with(("Failed", {}), ("Failed", {}), phase="Failed"), True, True),
    ],
)
def test_an_attempt_that_is_retried_may_send_what_is_its_own_until_its_pod_has_ended(
    run: dict[str, Any], ended: bool, ended_after_retry: bool
) -> None:
    assert has_ended(run, "test", 1) is ended
    assert has_ended(run, "test", 1, after_retry=True) is ended_after_retry
