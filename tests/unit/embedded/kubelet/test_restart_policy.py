"""When an ended container is started again."""

from __future__ import annotations

import pytest

from embedded.kubelet.restart_policy import RestartPolicy, restart_delay


@pytest.mark.parametrize(
    ("policy", "after_success", "after_failure"),
    [(RestartPolicy.ALWAYS, True, True), (RestartPolicy.ON_FAILURE, False, True), (RestartPolicy.NEVER, False, False)],
)
def test_restarts_depend_on_policy_and_exit_code(
    policy: RestartPolicy, after_success: bool, after_failure: bool
) -> None:
    assert policy.restarts_after(0) is after_success
    assert policy.restarts_after(3) is after_failure


def test_init_containers_do_not_restart_after_success() -> None:
    assert RestartPolicy.ALWAYS.for_init_containers is RestartPolicy.ON_FAILURE
    assert RestartPolicy.ON_FAILURE.for_init_containers is RestartPolicy.ON_FAILURE
    assert RestartPolicy.NEVER.for_init_containers is RestartPolicy.NEVER


def test_restart_delays_increase_to_a_minute() -> None:
    delays = [restart_delay(restarts) for restarts in range(10)]
    assert delays[0] == 0
    assert delays == sorted(delays)
    assert delays[-1] == 60
