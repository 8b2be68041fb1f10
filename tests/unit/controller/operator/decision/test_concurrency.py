"""Concurrency groups: who comes before whom, and that never two runs of a group go on side by side."""

from __future__ import annotations

import asyncio
import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import labels
from controller.kube import LEASES, PIPELINE_RUNS, AlreadyExistsError, ConflictError, NotFoundError
from controller.operator.decision import concurrency
from controller.operator.decision.actions import CancelRun
from controller.operator.decision.observation import BlockingRun
from controller.operator.effects.concurrency_lock import ConcurrencyLock
from tests.unit.controller.operator.world import World, step

Json = dict[str, Any]
BEGUN = [{"name": "a", "attempts": [{"number": 1}]}]
T0 = datetime(2026, 1, 1, tzinfo=UTC)


def run(number: int, phase: str = "", *, group: str = "main", at: int = 0, pipeline: str = "ci", **more: Any) -> Json:
    status = {"phase": phase, "group": group, **more} if phase else {}
    name = f"{pipeline}-{number}"
    made = f"2026-01-01T00:00:{at:02}Z"
    metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}", "creationTimestamp": made}
    return {"metadata": metadata, "spec": {"pipeline": {"name": pipeline}}, "status": status}


def names_before(this: Json, *others: Json) -> list[str]:
    return [other["metadata"]["name"] for other in concurrency.predecessors(this, "main", others)]


def test_runs_of_one_second_are_in_the_order_of_their_numbers() -> None:
    this = run(10)
    assert names_before(this, this, run(9), run(11), run(100), run(2, at=1)) == ["ci-9"]


def test_started_run_precedes_an_earlier_unstarted_run() -> None:
    assert names_before(run(1), run(2, "Running", steps=BEGUN), run(3, "Queued")) == ["ci-2"]


@pytest.mark.parametrize(
    "other",
    [
        run(1, "Succeeded", steps=BEGUN),
        run(1, "Cancelled"),
        run(1, "Running", group="dev", steps=BEGUN),
        run(1, "Running", pipeline="deploy", steps=BEGUN),
        {**run(1), "metadata": {**run(1)["metadata"], "namespace": "elsewhere"}},
    ],
)
def test_ended_and_unrelated_runs_do_not_block(other: Json) -> None:
    assert names_before(run(2), other) == []


def test_what_nobody_has_looked_at_may_be_of_any_group() -> None:
    assert names_before(run(2), run(1)) == ["ci-1"]


def test_a_queued_run_says_for_whom_it_waits_and_begins_nothing() -> None:
    world = World(step("a"), concurrency={"group": "main"})
    world.blocking_runs = (BlockingRun("ci-0", "uid-ci-0", created_before=True, cancel_requested=False),)
    world.reconcile()
    assert (world.status["phase"], world.status["reason"]) == ("Queued", "ConcurrencyGroup")
    assert world.status["message"] == "waits for run ci-0, of the same group main"
    assert world.status["steps"][0]["message"] == "the run waits for ci-0"
    assert world.started == []
    assert not any(isinstance(action, CancelRun) for action in world.actions)
    world.blocking_runs = ()
    world.reconcile()
    world.reconcile()
    assert world.started == [("a", 1)]


def test_cancel_running_cancels_each_earlier_run_once() -> None:
    world = World(step("a"), concurrency={"group": "main", "policy": "cancel-running"})
    world.blocking_runs = (
        BlockingRun("ci-0", "uid-ci-0", created_before=True, cancel_requested=True),
        BlockingRun("ci-1", "uid-ci-1", created_before=True, cancel_requested=False),
        BlockingRun("ci-9", "uid-ci-9", created_before=False, cancel_requested=False),
    )
    world.reconcile()
    assert [action for action in world.actions if isinstance(action, CancelRun)] == [CancelRun("ci-1", "uid-ci-1")]
    assert world.started == []


class SlowApiServer:
    """Answers a request some turns of the loop later, so that requests of others come in between."""

    def __init__(self, runs: list[Json], delays: list[int]) -> None:
        self.objects = {(PIPELINE_RUNS, each["metadata"]["name"]): each for each in runs}
        self.delays, self.version = delays, 0

    async def _later(self) -> None:
        for _ in range(self.delays.pop() if self.delays else 0):
            await asyncio.sleep(0)

    async def get(self, resource: Any, name: str, namespace: str) -> Json:
        await self._later()
        if (resource, name) not in self.objects:
            raise NotFoundError(name, status=404)
        found = copy.deepcopy(self.objects[resource, name])
        await self._later()
        return found

    def _put(self, obj: Json) -> None:
        self.version += 1
        name = obj["metadata"]["name"]
        metadata = {"uid": name, **obj["metadata"], "resourceVersion": str(self.version)}
        self.objects[LEASES, name] = {**obj, "metadata": metadata}

    async def create(self, resource: Any, obj: Json, namespace: str) -> None:
        await self._later()
        if (resource, obj["metadata"]["name"]) in self.objects:
            raise AlreadyExistsError("there", status=409)
        self._put(obj)
        await self._later()

    async def update(self, resource: Any, obj: Json) -> None:
        await self._later()
        found = self.objects.get((resource, obj["metadata"]["name"]))
        if found is None:
            raise NotFoundError("gone", status=404)
        if found["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise ConflictError("changed", status=409)
        self._put(obj)
        await self._later()

    async def list(self, resource: Any, namespace: str, *, label_selector: str) -> Json:
        await self._later()
        return {"items": [copy.deepcopy(obj) for (kind, _), obj in self.objects.items() if kind is resource]}

    async def delete(self, resource: Any, name: str, *, namespace: str, uid: str, resource_version: str) -> None:
        await self._later()
        found = self.objects.get((resource, name))
        if found is None:
            raise NotFoundError("gone", status=404)
        if found["metadata"]["resourceVersion"] != resource_version:
            raise ConflictError("changed", status=409)
        del self.objects[resource, name]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=120), st.integers(2, 5))
def test_never_two_runs_of_a_group_go_on_side_by_side(delays: list[int], count: int) -> None:
    """Two operators, with no picture of the cluster at all, ask for all runs at once, while leases are swept."""
    runs = [run(number, "Pending") for number in range(count)]
    cluster = SlowApiServer(runs, delays)
    going, ended = set[str](), list[str]()

    async def operator(mine: Json) -> None:
        turns = ConcurrencyLock(cluster, "c8s-system", lambda: T0)  # type: ignore[arg-type]
        name = mine["metadata"]["name"]
        for _ in range(200):
            try:
                holder = await turns.try_acquire(mine, "main")
            except ConflictError:
                continue
            if mine["status"]["phase"] == "Succeeded":
                return
            if holder is None:
                going.add(name)
                assert going == {name}
                await asyncio.sleep(0)
                going.discard(name)
                mine["status"]["phase"] = "Succeeded"
                ended.append(name)
                return
            await asyncio.sleep(0)
        raise AssertionError(f"{name} never had its turn")

    async def sweeper() -> None:
        turns = ConcurrencyLock(cluster, "c8s-system", lambda: T0)  # type: ignore[arg-type]
        for _ in range(20):
            await turns.release_finished()

    async def everybody() -> None:
        await asyncio.gather(*(operator(each) for each in [*runs, *runs]), sweeper())

    asyncio.run(everybody())
    assert set(ended) == {each["metadata"]["name"] for each in runs}


async def test_the_leases_of_ended_runs_are_swept_and_no_others() -> None:
    over, going = run(1, "Pending"), run(2, "Pending", group="dev")
    cluster = SlowApiServer([over, going], [])
    turns = ConcurrencyLock(cluster, "c8s-system", lambda: T0)  # type: ignore[arg-type]
    assert await turns.try_acquire(over, "main") is None
    assert await turns.try_acquire(going, "dev") is None
    holder = await turns.try_acquire(run(3), "main")
    assert holder is not None
    assert holder["metadata"]["uid"] == "uid-ci-1"
    over["status"]["phase"] = "Failed"
    assert await turns.release_finished() == 1
    left = [obj for (kind, _), obj in cluster.objects.items() if kind is LEASES]
    assert [lease["spec"]["holderIdentity"] for lease in left] == ["team/ci-2/uid-ci-2"]


@pytest.mark.parametrize("older_version", [False, True])
async def test_run_with_the_name_of_the_holder_neither_holds_nor_blocks(older_version: bool) -> None:
    """The holder was deleted, and another run was created under its name."""
    first = run(1, "Pending")
    cluster = SlowApiServer([first], [])
    lock = ConcurrencyLock(cluster, "c8s-system", lambda: T0)  # type: ignore[arg-type]
    assert await lock.try_acquire(first, "main") is None
    [lease] = [obj for (kind, _), obj in cluster.objects.items() if kind is LEASES]
    if older_version:
        lease["spec"]["holderIdentity"] = "team/ci-1"
        lease["metadata"]["annotations"][labels.RUN_UID] = "uid-ci-1"
        assert await lock.try_acquire(run(2), "main") is not None
    first["metadata"]["uid"] = "uid-of-another"
    assert await lock.try_acquire(run(2), "main") is None
    assert lease["spec"]["holderIdentity"] != "team/ci-1/uid-of-another"


async def test_run_cannot_free_the_lock_of_one_with_its_name() -> None:
    """An ended run under the holder's name says nothing about the holder, whose Lease another run takes over."""
    first = run(1, "Pending")
    cluster = SlowApiServer([first], [])
    lock = ConcurrencyLock(cluster, "c8s-system", lambda: T0)  # type: ignore[arg-type]
    later = {**run(1, "Pending"), "metadata": {**run(1)["metadata"], "uid": "uid-of-another"}}
    assert await lock.try_acquire(first, "main") is None
    holder = await lock.try_acquire(later, "main")
    assert holder is not None
    assert holder["metadata"]["uid"] == "uid-ci-1"
    assert await lock.release_finished() == 0
