"""When pods that wait at their gates have to make room."""

from __future__ import annotations

from typing import Any

from controller.operator.cache.cluster_room import CALM_SECONDS, ClusterRoom
from controller.run_types.keys import RunKey

RUN, NEIGHBOUR, STRANGER = RunKey("a", "one"), RunKey("a", "two"), RunKey("b", "three")


def steps(*reasons: str) -> Any:
    return [{"phase": "Pending", "reason": reason} for reason in reasons]


def pod(uid: str, reason: str = "Unschedulable") -> Any:
    lacking = {"type": "PodScheduled", "status": "False", "reason": reason}
    return {"metadata": {"uid": uid}, "status": {"conditions": [lacking]}}


def test_unschedulable_step_needs_room_everywhere_and_a_quota_in_its_namespace() -> None:
    room = ClusterRoom()
    assert not room.is_crowded(RUN, 0)
    assert room.note_run(NEIGHBOUR, steps("WaitingForSteps", "OverQuota"), 0)
    later = CALM_SECONDS + 1
    assert room.is_crowded(RUN, later)
    assert not room.is_crowded(STRANGER, later)
    assert room.note_run(NEIGHBOUR, steps("Unschedulable"), later)
    assert not room.note_run(NEIGHBOUR, steps("Unschedulable"), later), "that was known"
    assert room.is_crowded(STRANGER, 2 * later)


def test_room_is_used_only_after_a_while() -> None:
    room = ClusterRoom()
    room.note_run(RUN, steps("Unschedulable"), 100)
    room.note_run(RUN, steps("Created"), 101)
    assert room.is_crowded(RUN, 100 + CALM_SECONDS - 1)
    assert not room.is_crowded(RUN, 100 + CALM_SECONDS)


def test_pods_of_others_count_while_no_node_takes_them() -> None:
    room = ClusterRoom()
    assert not room.note_other(pod("1", "SchedulingGated"), 0, deleted=False)
    assert room.note_other(pod("1"), 0, deleted=False)
    assert not room.note_other(pod("1"), 1, deleted=False)
    assert room.is_crowded(RUN, 1000)
    room.note_other(pod("1"), 1, deleted=True)
    assert not room.is_crowded(RUN, 1000)


def test_run_that_is_forgotten_needs_nothing() -> None:
    room = ClusterRoom()
    room.note_run(RUN, steps("Unschedulable"), 0)
    room.forget(RUN)
    assert not room.is_crowded(STRANGER, CALM_SECONDS)
