"""The same for Jobs that are made ahead of their steps: nothing is made twice, or left."""

from __future__ import annotations

from typing import Any

import pytest

from controller.kube import (
    JOBS,
    SECRETS,
    UnreachableError,
)
from controller.operator.effects.status_writer import WriteResult
from controller.operator.gate import is_closed, opening
from tests.unit.controller.operator.effects.lost_requests import (
    BOTH,
    ENDED,
    again,
    job,
    settle,
    written,
)
from tests.unit.controller.operator.harness import KEY, Loss, ReconcilerHarness
from tests.unit.controller.operator.world import step


def ahead() -> ReconcilerHarness:
    return ReconcilerHarness(step("a"), step("b", "a", artifacts=["dist/*"]))


def lose_job(harness: ReconcilerHarness, verb: str, lost: Loss) -> None:
    """The next such request for the Job of step b is lost."""
    left = [lost]

    def lose(asked: str, resource: Any, name: str) -> Loss | None:
        return left.pop() if left and (asked, resource, name) == (verb, JOBS, "ci-1--b-1") else None

    harness.cluster.lose = lose


@BOTH
@pytest.mark.parametrize("is_due", [True, False])
async def test_job_that_is_made_ahead_is_made_once(lost: Loss, is_due: bool) -> None:
    harness = ahead()
    lose_job(harness, "create", lost)
    await harness.reconcile()
    if is_due:
        harness.pod("a", ENDED, phase="Succeeded")
    await again(harness)
    found = job(harness, "b")
    assert found is not None
    assert harness.cluster.created.count("ci-1--b-1") == 1
    entry = await written(harness, 1)
    if is_due:
        assert not is_closed(found)
        assert (entry["reason"], len(entry["attempts"])) == ("Created", 1)
    else:
        assert is_closed(found)
        assert (entry["reason"], "attempts" in entry) == ("WaitingAtGate", False)


@BOTH
async def test_nothing_that_was_made_ahead_is_left_by_a_cancelled_run(lost: Loss) -> None:
    harness = ahead()
    lose_job(harness, "create", lost)
    await harness.reconcile()
    harness.run["spec"]["cancel"] = True
    await settle(harness)
    assert await harness.reconciler.write(KEY) is WriteResult.DONE
    assert [name for resource, name in harness.cluster.objects if resource is JOBS] == []


@BOTH
async def test_gate_is_opened_although_an_answer_is_lost(lost: Loss) -> None:
    harness = ahead()
    await harness.reconcile()
    lose_job(harness, "patch", lost)
    harness.pod("a", ENDED, phase="Succeeded")
    with pytest.raises(UnreachableError):
        await harness.reconcile()
    await again(harness)
    found = job(harness, "b")
    assert found is not None
    assert opening(found) is not None
    harness.catch_up()
    harness.pod("b", ENDED, phase="Succeeded")
    await again(harness, 30)
    assert len((await written(harness, 1))["attempts"]) == 1


@BOTH
async def test_withdrawal_leaves_neither_job_nor_token(lost: Loss) -> None:
    harness = ahead()
    await harness.reconcile()
    harness.catch_up()
    lose_job(harness, "delete", lost)
    harness.pod("a", {"terminated": {"exitCode": 1}}, phase="Failed")
    with pytest.raises(UnreachableError):
        await harness.reconcile()
    assert harness.cache.states[KEY].status.current["phase"] == "Running", "not before it is known"
    harness.catch_up()
    await again(harness)
    assert await harness.reconciler.write(KEY) is WriteResult.DONE
    assert job(harness, "b") is None
    assert [name for resource, name in harness.cluster.objects if resource is SECRETS] == []
