"""Steps that wait for a queue of the cluster or a node: what is said, what counts, and what is removed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.operator.decision.actions import DeleteJob, ReadWaiting
from controller.operator.decision.waiting import describe_scaling, describe_workload, suspended_time
from tests.unit.controller.operator.world import T0, World, step

UNSCHEDULABLE = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}],
}


def queued(*steps: Any, **more: Any) -> World:
    world = World(*steps, **more)
    world.queue = "team-a"
    return world


def test_a_suspended_step_says_what_it_waits_for_and_asks_again() -> None:
    world = queued(step("a"))
    world.outside["a", 1] = "waits for admission to the queue team-a: insufficient quota for cpu"
    world.reconcile()
    status = world.reconcile().step_status("a")
    assert (status["phase"], status["reason"]) == ("Pending", "WaitingForAdmission")
    assert status["message"] == "waits for admission to the queue team-a: insufficient quota for cpu"
    assert world.requeue_at == world.now + timedelta(seconds=5)
    world.reconcile()
    assert not any(isinstance(each, ReadWaiting) for each in world.actions), "not before the interval is over"
    world.pass_time(5)
    world.outside["a", 1] = "has quota"
    assert world.reconcile().step_status("a")["message"] == "has quota"


def test_an_admitted_step_runs_and_the_time_is_recorded() -> None:
    world = queued(step("a"))
    world.reconcile().reconcile()
    world.pass_time(3600)
    world.admit("a")
    world.pass_time(1)
    status = world.reconcile().step_status("a")
    assert status["reason"] == "Created"
    assert status["attempts"][0]["times"]["admitted"].startswith((T0 + timedelta(hours=1)).isoformat()[:19])
    assert world.run_step("a").phase == "Succeeded"


def test_no_timeout_counts_while_a_run_only_waits_for_admission() -> None:
    world = queued(step("a", timeout="1m"), timeout="10m")
    world.reconcile().reconcile()
    world.pass_time(7 * 24 * 3600)
    assert world.reconcile().step_status("a")["reason"] == "WaitingForAdmission"
    world.admit("a")
    world.reconcile()
    world.start_step("a")
    world.reconcile()
    world.pass_time(59)
    assert world.reconcile().step_status("a")["phase"] == "Running"
    world.pass_time(2)
    assert world.reconcile().step_status("a")["attempts"][0]["stopping"] == "Timeout"


def test_the_run_times_out_while_another_step_runs() -> None:
    world = queued(step("a"), step("b"), timeout="10m")
    world.reconcile().reconcile()
    world.admit("a")
    world.start_step("a")
    world.reconcile()
    world.pass_time(601)
    world.reconcile()
    assert world.step_status("a")["attempts"][0]["stopping"] == "RunTimeout"


def test_a_suspended_step_is_cancelled_with_its_job() -> None:
    world = queued(step("a"))
    world.reconcile().reconcile()
    world.cancel()
    world.reconcile().reconcile()
    assert world.jobs == {}
    assert world.phases() == {"a": "Cancelled"}
    assert world.phase == "Cancelled"


def test_what_a_queue_preempts_is_tried_again_and_its_job_removed() -> None:
    world = queued(step("a"))
    world.reconcile().reconcile()
    world.admit("a")
    world.start_step("a")
    world.reconcile()
    # Kueue suspends the Job, and the Job controller deletes its pod.
    world.jobs["a", 1]["spec"] = {"suspend": True}
    world.disrupt("a")
    world.reconcile()
    assert ("a", 1) not in world.jobs
    assert world.started == [("a", 1), ("a", 2)]
    world.reconcile()
    assert world.step_status("a")["reason"] == "WaitingForAdmission"


def test_a_job_that_is_not_suspended_is_not_removed() -> None:
    world = World(step("a"))
    world.reconcile()
    world.start_step("a")
    world.reconcile()
    world.disrupt("a")
    world.reconcile()
    assert not any(isinstance(each, DeleteJob) for each in world.actions)


def test_a_pod_without_a_node_says_what_the_autoscaler_does() -> None:
    world = World(step("a"))
    world.outside["a", 1] = "a node is being added for it (TriggeredScaleUp)"
    world.reconcile()
    world.set_pod("a", node=None, **UNSCHEDULABLE)
    status = world.reconcile().step_status("a")
    assert (status["reason"], status["message"]) == (
        "Unschedulable",
        "0/1 nodes; a node is being added for it (TriggeredScaleUp)",
    )


def test_steps_that_wait_for_nothing_outside_are_not_asked_about() -> None:
    world = World(step("a"), step("b", "a"))
    world.reconcile()
    world.start_step("a")
    world.reconcile()
    assert not any(isinstance(each, ReadWaiting) for each in world.actions)


PENDING = {
    "type": "QuotaReserved",
    "status": "False",
    "reason": "Pending",
    "message": "insufficient unused quota for cpu",
}
RESERVED = {"type": "QuotaReserved", "status": "True", "reason": "QuotaReserved", "message": "Quota reserved"}
ADMISSION = {"clusterQueue": "shared"}


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        (None, "waits for admission to the queue team-a: Kueue has not taken it up yet"),
        ({}, "waits for admission to the queue team-a"),
        (
            {"status": {"conditions": [PENDING]}},
            "waits for admission to the queue team-a: insufficient unused quota for cpu",
        ),
        (
            {"status": {"conditions": [RESERVED], "admission": ADMISSION}},
            "has quota in the ClusterQueue shared; begins",
        ),
        (
            {
                "status": {
                    "conditions": [RESERVED],
                    "admission": ADMISSION,
                    "admissionChecks": [
                        {"name": "ok", "state": "Ready", "message": ""},
                        {"name": "nodes", "state": "Pending", "message": "a node is provisioned"},
                    ],
                }
            },
            "has quota in the ClusterQueue shared; waits for checks: nodes is Pending (a node is provisioned)",
        ),
        (
            {"status": {"conditions": [{"type": "Evicted", "status": "True", "message": "Preempted by team-b"}]}},
            "waits for admission to the queue team-a: Preempted by team-b",
        ),
        ({"spec": {"active": False}}, "waits for admission to the queue team-a: its Workload was deactivated"),
    ],
)
def test_a_workload_says_what_a_job_waits_for(workload: Any, expected: str) -> None:
    assert describe_workload(workload, "team-a").startswith(expected)


def test_a_queue_that_kueue_chose_itself_may_be_unknown() -> None:
    assert describe_workload(None, "").startswith("waits for admission to a queue of the cluster")
    endless = {"status": {"conditions": [{**PENDING, "message": "x" * 10_000}]}}
    assert len(describe_workload(endless, "q")) < 500


def test_the_newest_event_of_an_autoscaler_counts() -> None:
    def event(reason: str, message: str = "", **more: Any) -> Any:
        return {"metadata": {"name": reason.lower()}, "reason": reason, "message": message, **more}

    older = event("NotTriggerScaleUp", "max size reached", lastTimestamp="2026-01-01T00:00:09Z")
    newer = event("Nominated", "node x", lastTimestamp=None, eventTime="2026-01-01T00:00:09.250000Z")
    other = event("FailedScheduling", "0/1", lastTimestamp="2026-01-01T00:00:10Z")
    assert describe_scaling([older, newer, other]) == "a node is being made ready for it (Nominated: node x)"
    assert describe_scaling([other]) == ""
    assert describe_scaling([event("TriggeredScaleUp")]) == "a node is being added for it (TriggeredScaleUp)"


def attempt(created: int, *, admitted: int | None = None, finished: int | None = None, reason: str = "Running") -> Any:
    def moment(seconds: int) -> str:
        return (T0 + timedelta(seconds=seconds)).isoformat()

    times = {"created": moment(created)}
    times |= {"admitted": moment(admitted)} if admitted is not None else {}
    times |= {"finished": moment(finished)} if finished is not None else {}
    return {"number": 1, "reason": reason, "times": times}


WAITING = "WaitingForAdmission"


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ([], 0),
        ([attempt(0)], 0),
        ([attempt(0, reason=WAITING)], 100),
        ([attempt(0, admitted=40)], 40),
        ([attempt(0, admitted=40), attempt(10, reason=WAITING)], 40),
        ([attempt(0, admitted=40, finished=50), attempt(10, reason=WAITING)], 90),
        ([attempt(0, finished=30), attempt(10, admitted=60, finished=70)], 30),
        ([attempt(0, reason=WAITING), attempt(0, reason=WAITING)], 100),
    ],
)
def test_only_time_in_which_nothing_else_went_on_is_left_out(attempts: list[Any], expected: int) -> None:
    steps: Any = [{"attempts": [each]} for each in attempts]
    assert suspended_time(steps, T0 + timedelta(seconds=100)) == timedelta(seconds=expected)
