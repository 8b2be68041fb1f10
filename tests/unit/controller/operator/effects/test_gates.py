"""Jobs that are made ahead, opened and withdrawn, on an API server on which others are at work too."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from controller import labels
from controller.kube import JOBS, SECRETS, ApiError
from controller.operator.gate import is_closed, opening
from tests.unit.controller.operator.harness import KEY, ReconcilerHarness
from tests.unit.controller.operator.world import step

Json = dict[str, Any]
ENDED = {"terminated": {"exitCode": 0}}


def harness_of(*more: Json) -> ReconcilerHarness:
    """Two steps of which the second may be made ahead: it has an agent."""
    return ReconcilerHarness(step("a"), step("b", "a", artifacts=["dist/*"]), *more)


def job(harness: ReconcilerHarness, name: str = "b") -> Json:
    return harness.cluster.objects[JOBS, f"ci-1--{name}-1"]


async def written(harness: ReconcilerHarness, index: int = 1) -> Json:
    await harness.reconciler.write(KEY)
    return harness.step(index)


async def test_job_is_made_ahead_with_a_closed_gate() -> None:
    harness = harness_of()
    await harness.reconcile()
    assert is_closed(job(harness))
    assert not is_closed(job(harness, "a"))
    entry = await written(harness)
    assert (entry["reason"], "attempts" in entry) == ("WaitingAtGate", False)
    [agent] = job(harness)["spec"]["template"]["spec"]["initContainers"]
    assert agent["command"][-1] == "early-step"
    [uid] = [each for each in agent["env"] if each["name"] == "C8S_EARLY_JOB"]
    assert uid["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['batch.kubernetes.io/controller-uid']"


async def test_gate_is_opened_when_the_step_is_due() -> None:
    harness = harness_of()
    await harness.reconcile()
    harness.pod("a", ENDED, phase="Succeeded")
    await harness.reconcile()
    found = opening(job(harness))
    assert found is not None
    assert (found.at, found.holds) == (harness.now, ())
    assert harness.cluster.created.count("ci-1--b-1") == 1
    entry = await written(harness)
    assert entry["attempts"][0]["early"] is True


async def test_breakpoints_that_were_set_meanwhile_hold_the_step() -> None:
    harness = harness_of()
    await harness.reconcile()
    harness.run["spec"]["breakpoints"] = [{"step": "b", "at": "failed"}, {"step": "a", "at": "before"}]
    harness.pod("a", ENDED, phase="Succeeded")
    await harness.reconcile()
    found = opening(job(harness))
    assert found is not None
    assert found.holds == ("failed",)


async def test_log_of_a_pod_at_its_gate_is_not_followed() -> None:
    harness = harness_of()
    await harness.reconcile()
    harness.pod("b", {"running": {}})
    await harness.reconcile()
    assert [slug for slug, _ in harness.logs.followed] == []
    harness.pod("a", ENDED, phase="Succeeded")
    await harness.reconcile()
    await harness.reconcile()
    assert "b" in [slug for slug, _ in harness.logs.followed]


async def test_gate_that_could_not_be_opened_is_opened_by_the_next_process() -> None:
    """The status has the attempt by then."""
    harness = harness_of()
    await harness.reconcile()
    patch = harness.cluster.patch

    async def refuse(resource: Any, name: str, changes: Any, **more: Any) -> Json:
        if resource is JOBS:
            raise ApiError("a webhook is down", status=500)
        return await patch(resource, name, changes, **more)

    harness.cluster.patch = refuse  # type: ignore[method-assign]
    harness.pod("a", ENDED, phase="Succeeded")
    with pytest.raises(ApiError):
        await harness.reconcile()
    assert (await written(harness))["attempts"][0]["early"] is True
    assert is_closed(job(harness))
    harness.cluster.patch = patch  # type: ignore[method-assign]
    harness.restart()
    harness.pod("a", ENDED, phase="Succeeded")
    harness.pod("b", {"running": {}})
    await harness.reconcile()
    assert opening(job(harness)) is not None
    assert harness.cluster.created.count("ci-1--b-1") == 1


async def test_job_that_vanished_is_made_again_when_the_step_is_due() -> None:
    harness = harness_of()
    await harness.reconcile()
    del harness.cluster.objects[JOBS, "ci-1--b-1"]
    harness.pod("a", ENDED, phase="Succeeded")
    await harness.reconcile()
    assert harness.cluster.created.count("ci-1--b-1") == 2
    assert not is_closed(job(harness))
    assert (await written(harness))["attempts"][0].get("early") is None


async def test_refused_job_is_made_when_it_is_due() -> None:
    harness = harness_of()
    create = harness.cluster.create

    async def refuse_early(resource: Any, obj: Json, namespace: str | None = None) -> Json:
        if resource is JOBS and is_closed(obj):
            raise ApiError("spec.template: Invalid value", status=422)
        return await create(resource, obj, namespace)

    harness.cluster.create = refuse_early  # type: ignore[method-assign]
    await harness.reconcile()
    assert (await written(harness))["reason"] == "WaitingForSteps"
    harness.pod("a", ENDED, phase="Succeeded")
    await harness.reconcile()
    assert not is_closed(job(harness))


async def test_skipped_step_leaves_no_job() -> None:
    harness = harness_of()
    await harness.reconcile()
    harness.pod("b", {"running": {}})
    harness.pod("a", {"terminated": {"exitCode": 1}}, phase="Failed")
    await harness.reconcile()
    assert (JOBS, "ci-1--b-1") not in harness.cluster.objects
    entry = await written(harness)
    assert (entry["phase"], "attempts" in entry, harness.stored["status"]["phase"]) == ("Skipped", False, "Failed")
    left = [name for resource, name in harness.cluster.objects if resource is SECRETS]
    assert left == [], "nor a token"


async def test_withdrawal_of_a_changed_job_is_tried_again() -> None:
    harness = harness_of()
    await harness.reconcile()
    # The Job controller has counted its pod, and the cache does not know.
    harness.cluster.put(JOBS, copy.deepcopy(job(harness)))
    harness.pod("a", {"terminated": {"exitCode": 1}}, phase="Failed")
    await harness.reconcile()
    assert (JOBS, "ci-1--b-1") not in harness.cluster.objects


async def test_gate_that_another_leader_has_opened_is_not_withdrawn() -> None:
    harness = harness_of()
    await harness.reconcile()
    opened = copy.deepcopy(job(harness))
    opened["metadata"]["annotations"][labels.OPENED] = '{"at": "2026-01-01T00:00:00+00:00", "holds": []}'
    harness.cluster.put(JOBS, opened)
    harness.run["spec"]["cancel"] = True
    await harness.reconcile()
    assert (JOBS, "ci-1--b-1") in harness.cluster.objects, "it may run: it is stopped as any attempt"
    harness.cache.on_job(job(harness), deleted=False)
    await harness.reconcile()
    assert (await written(harness))["phase"] in ("Pending", "Cancelled")


@pytest.mark.parametrize("ended", [True, False])
async def test_next_process_finds_what_waits(ended: bool) -> None:
    harness = harness_of()
    await harness.reconcile()
    await harness.reconciler.write(KEY)
    harness.restart()
    if ended:
        harness.pod("a", ENDED, phase="Succeeded")
    await harness.reconcile()
    assert (opening(job(harness)) is not None) is ended
    assert harness.cluster.created.count("ci-1--b-1") == 1
    assert (await written(harness))["reason"] == ("Created" if ended else "WaitingAtGate")


async def test_run_that_ended_without_its_leader_leaves_nothing_at_a_gate() -> None:
    harness = harness_of()
    await harness.reconcile()
    harness.restart()
    harness.run["status"] = {"phase": "Cancelled", "steps": []}
    await harness.reconcile()
    assert (JOBS, "ci-1--b-1") not in harness.cluster.objects


async def test_pod_of_a_withdrawn_job_is_no_attempt() -> None:
    """It may be there for a while, and its attempt has another Job of the same name."""
    harness = harness_of()
    await harness.reconcile()
    harness.pod("b", {"running": {}})
    early = copy.deepcopy(job(harness))
    harness.cache.room.note_refusal(harness.monotonic)
    await harness.reconcile()
    assert (JOBS, "ci-1--b-1") not in harness.cluster.objects
    harness.pod("a", ENDED, phase="Succeeded")
    await harness.reconcile()
    assert job(harness)["metadata"]["uid"] != early["metadata"]["uid"]
    harness.cache.on_job(early, deleted=True)
    harness.cache.on_job(job(harness), deleted=False)
    await harness.reconcile()
    [attempt] = (await written(harness))["attempts"]
    assert (attempt["reason"], attempt.get("podName")) == ("Created", None)
