"""Creating the Jobs of attempts on an API server that refuses, or has them already."""

from __future__ import annotations

from typing import Any

import pytest

from controller.kube import (
    JOBS,
    SECRETS,
    ApiError,
    ForbiddenError,
)
from tests.unit.controller.operator.harness import KEY, ReconcilerHarness
from tests.unit.controller.operator.world import step

Json = dict[str, Any]


async def test_job_name_taken_by_another_run_is_retried() -> None:
    harness = ReconcilerHarness()
    owner = [{"uid": "another-run"}]
    harness.cluster.put(JOBS, {"metadata": {"name": "ci-1--a-1", "namespace": "team", "ownerReferences": owner}})
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert (harness.step()["phase"], harness.step()["reason"]) == ("Pending", "NameTaken")


@pytest.mark.parametrize(
    ("error", "phase", "reason"),
    [
        (ForbiddenError('jobs "x" is forbidden: exceeded quota: q', status=403), "Pending", "OverQuota"),
        (ApiError("spec.template: Invalid value", status=422), "Failed", "JobInvalid"),
        (ApiError("a webhook is down", status=500), "Pending", "NotCreated"),
    ],
)
async def test_a_refused_job_is_reported_in_its_step(error: ApiError, phase: str, reason: str) -> None:
    harness = ReconcilerHarness()
    harness.cluster.refuse = error
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert (harness.step()["phase"], harness.step()["reason"]) == (phase, reason)
    assert str(error) in harness.step()["message"]
    assert "attempts" not in harness.step()


async def test_attempt_without_its_tokens_has_not_started() -> None:
    """A lost answer to the creation of its tokens must not leave an attempt whose Job nobody creates."""
    harness = ReconcilerHarness(step("a", artifacts=["dist/*"]))
    harness.cluster.lose = lambda verb, resource, name: "request" if resource is SECRETS else None
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.step()["reason"] == "NotCreated"
    assert not harness.step().get("attempts")
    assert all(resource is not JOBS for resource, _ in harness.cluster.objects)


async def test_a_job_made_by_a_process_that_died_is_not_made_twice() -> None:
    harness = ReconcilerHarness()
    await harness.reconcile()
    harness.restart()
    harness.run["spec"]["cancel"] = True
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    assert harness.cluster.created.count("ci-1--a-1") == 1
    assert harness.step()["attempts"][0]["stopping"] == "Cancelled"
    assert (JOBS, "ci-1--a-1") not in harness.cluster.objects, "no node had taken its pod"
