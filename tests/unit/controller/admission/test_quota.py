"""Steps that can never fit the quota of their namespace are named with the numbers."""

from __future__ import annotations

from typing import Any

import pytest

from controller.admission.quota import find_misfits

STEP = {"name": "build", "resources": {"cpu": "4", "memory": "2Gi"}}


def quota(hard: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "team"}, "spec": {"hard": hard, **spec}}


@pytest.mark.parametrize(
    ("hard", "said"),
    [
        ({"cpu": "2"}, "the step build asks for cpu 4, and the quota team has cpu 2 in all: it can never fit"),
        ({"requests.cpu": "3500m"}, "requests.cpu 3500m"),
        ({"limits.cpu": "1"}, "limits.cpu 1"),
        ({"memory": "2000M"}, "asks for memory 2Gi, and the quota team has memory 2000M"),
        ({"pods": "0"}, "the quota team has pods 0: no step can ever run"),
        ({"count/jobs.batch": "0"}, "count/jobs.batch 0"),
    ],
)
def test_a_step_that_is_larger_than_a_quota_is_named(hard: dict[str, str], said: str) -> None:
    (found,) = find_misfits({"steps": [STEP, {"name": "small"}]}, [quota(hard)])
    assert said in found


@pytest.mark.parametrize(
    "hard",
    [{"cpu": "4"}, {"memory": "2Gi"}, {"pods": "1"}, {"cpu": "1e3"}, {"requests.storage": "1"}, {"pods": "x"}, {}],
)
def test_what_fits_or_can_not_be_compared_is_not_refused(hard: dict[str, str]) -> None:
    assert find_misfits({"steps": [STEP]}, [quota(hard)]) == []


def test_quotas_with_scopes_and_steps_of_any_shape_are_left_out() -> None:
    assert find_misfits({"steps": [STEP]}, [quota({"cpu": "1"}, scopes=["BestEffort"])]) == []
    assert find_misfits({"steps": [5, {"resources": None}, {"resources": {"cpu": {}}}]}, [quota({"cpu": "1"})]) == []
    assert find_misfits({}, [quota({"cpu": "1"}), {"metadata": {"name": "none"}}]) == []
