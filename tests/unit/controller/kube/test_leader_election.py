"""At most one leads, on clocks that the tests turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.kube import AlreadyExistsError, ConflictError, LeaderElector, NotFoundError, UnreachableError
from controller.kube.leader_election import LeadershipLostError

Json = dict[str, Any]


class SteppedClock:
    """Time passes when everybody waits: the earliest sleeper is woken."""

    def __init__(self) -> None:
        self.time = 0.0
        self.sleepers: list[tuple[float, asyncio.Event]] = []

    async def pause(self, seconds: float) -> None:
        woken = asyncio.Event()
        self.sleepers.append((self.time + seconds, woken))
        await woken.wait()

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time)

    async def step(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        if self.sleepers:
            self.sleepers.sort(key=lambda sleeper: sleeper[0])
            due, woken = self.sleepers.pop(0)
            self.time = max(self.time, due)
            woken.set()
        for _ in range(20):
            await asyncio.sleep(0)

    async def advance_until(self, condition: Callable[[], bool], limit: float = 100.0) -> None:
        """Let time pass until the condition holds, `limit` seconds of this clock at most."""
        while not condition():
            assert self.time < limit, f"the condition did not hold within {limit:g} s of the test's clock"
            await self.step()


class Leases:
    """One lease, as the API server keeps it; each client can be cut off, or its answers slowed down."""

    def __init__(self) -> None:
        self.lease: Json | None = None
        self.version = 0

    def client(self) -> LeaseClient:
        return LeaseClient(self)


class LeaseClient:
    def __init__(self, leases: Leases) -> None:
        self.leases = leases
        self.cut = False

    def check(self) -> None:
        if self.cut:
            raise UnreachableError("cut off")

    async def get(self, *_: Any, timeout: float) -> Json:
        self.check()
        if self.leases.lease is None:
            raise NotFoundError("none", status=404)
        return {**self.leases.lease, "spec": dict(self.leases.lease["spec"])}

    async def create(self, _: Any, lease: Json, *__: Any, timeout: float) -> None:
        self.check()
        if self.leases.lease is not None:
            raise AlreadyExistsError("there", status=409)
        self.store(lease)

    async def update(self, _: Any, lease: Json, *, timeout: float) -> None:
        self.check()
        assert self.leases.lease is not None
        if lease["metadata"]["resourceVersion"] != self.leases.lease["metadata"]["resourceVersion"]:
            raise ConflictError("changed", status=409)
        self.store(lease)

    def store(self, lease: Json) -> None:
        self.leases.version += 1
        self.leases.lease = {**lease, "metadata": {**lease["metadata"], "resourceVersion": str(self.leases.version)}}


def elector(clock: SteppedClock, client: LeaseClient, name: str) -> LeaderElector:
    return LeaderElector(
        client,  # type: ignore[arg-type]
        "system",
        "c8s",
        name,
        monotonic=lambda: clock.time,
        now=clock.now,
        pause=clock.pause,
    )


async def forever() -> None:
    await asyncio.Event().wait()


async def cancel_tasks(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


def start_elector(one: LeaderElector, work: Callable[[], Awaitable[None]] = forever) -> asyncio.Task[None]:
    return asyncio.create_task(one.run(work))


async def test_a_free_lease_is_taken_at_once() -> None:
    clock, leases = SteppedClock(), Leases()
    one = elector(clock, leases.client(), "one")
    task = start_elector(one)
    await clock.advance_until(lambda: one.is_leader)
    assert clock.time <= 2
    assert leases.lease is not None
    assert leases.lease["spec"]["holderIdentity"] == "one"
    await cancel_tasks(task)


async def test_a_lease_that_is_renewed_is_not_taken() -> None:
    clock, leases = SteppedClock(), Leases()
    one, two = elector(clock, leases.client(), "one"), elector(clock, leases.client(), "two")
    tasks = [start_elector(one)]
    await clock.advance_until(lambda: one.is_leader)
    tasks.append(start_elector(two))
    await clock.advance_until(lambda: clock.time > 60)
    assert (one.is_leader, two.is_leader) == (True, False)
    await cancel_tasks(*tasks)


async def test_leader_that_cannot_renew_stops_before_the_next_starts() -> None:
    clock, leases = SteppedClock(), Leases()
    client = leases.client()
    one, two = elector(clock, client, "one"), elector(clock, leases.client(), "two")
    ended: list[float] = []

    async def work() -> None:
        try:
            await forever()
        finally:
            ended.append(clock.time)

    first = start_elector(one, work)
    await clock.advance_until(lambda: one.is_leader)
    second = start_elector(two)
    await clock.advance_until(lambda: clock.time > 20)
    client.cut = True
    cut_at = clock.time
    await clock.advance_until(lambda: two.is_leader)
    assert ended
    assert ended[0] <= cut_at + 12
    assert clock.time >= cut_at + 11
    with pytest.raises(LeadershipLostError):
        await first
    await cancel_tasks(second)


async def test_who_sees_another_holder_stops_at_once() -> None:
    clock, leases = SteppedClock(), Leases()
    one = elector(clock, leases.client(), "one")
    task = start_elector(one)
    await clock.advance_until(lambda: one.is_leader)
    assert leases.lease is not None
    leases.client().store({**leases.lease, "spec": {**leases.lease["spec"], "holderIdentity": "two"}})
    began = clock.time
    await clock.advance_until(task.done)
    assert clock.time - began <= 4
    assert leases.lease["spec"]["holderIdentity"] == "two", "what is not ours is not released"
    assert isinstance(task.exception(), LeadershipLostError)


async def test_after_a_shutdown_the_next_begins_at_once() -> None:
    clock, leases = SteppedClock(), Leases()
    one, two = elector(clock, leases.client(), "one"), elector(clock, leases.client(), "two")
    task = start_elector(one)
    await clock.advance_until(lambda: one.is_leader)
    await cancel_tasks(task)
    assert leases.lease is not None
    assert "holderIdentity" not in leases.lease["spec"], "an empty one would be refused by a real server"
    other = start_elector(two)
    await clock.step()
    assert two.is_leader
    assert leases.lease["spec"]["leaseTransitions"] == 1
    await cancel_tasks(other)


async def test_what_the_work_raises_comes_out_as_it_was() -> None:
    async def work() -> None:
        raise ValueError("mine")

    clock = SteppedClock()
    with pytest.raises(ValueError, match="mine"):
        await elector(clock, Leases().client(), "one").run(work)


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.tuples(st.sampled_from([0, 1]), st.booleans(), st.integers(1, 15)), max_size=8))
def test_two_never_lead_at_the_same_time(cuts: list[tuple[int, bool, int]]) -> None:
    async def play() -> None:
        clock, leases = SteppedClock(), Leases()
        clients = [leases.client(), leases.client()]
        electors = [elector(clock, clients[0], "one"), elector(clock, clients[1], "two")]
        working: set[int] = set()

        def work(index: int) -> Callable[[], Awaitable[None]]:
            async def lead() -> None:
                assert not working, "both lead"
                working.add(index)
                try:
                    await forever()
                finally:
                    working.discard(index)

            return lead

        async def again(index: int) -> None:
            while True:
                try:
                    await electors[index].run(work(index))
                except LeadershipLostError:
                    continue

        tasks = [asyncio.create_task(again(index)) for index in (0, 1)]
        for who, cut, steps in cuts:
            clients[who].cut = cut
            for _ in range(steps):
                await clock.step()
                assert not [task for task in tasks if task.done()]
        await cancel_tasks(*tasks)

    asyncio.run(play())


async def test_lease_annotations_are_those_of_its_holder() -> None:
    clock, leases = SteppedClock(), Leases()

    def annotations() -> Any:
        return (leases.lease or {}).get("metadata", {}).get("annotations")

    def one(name: str, address: str) -> LeaderElector:
        client: Any = leases.client()
        return LeaderElector(
            client, "system", "c8s", name, annotations={"c8s.dev/address": address},
            monotonic=lambda: clock.time, now=clock.now, pause=clock.pause,
        )  # fmt: skip

    first = asyncio.create_task(one("a", "http://10.0.0.1:8081").run(forever))
    await clock.advance_until(lambda: annotations() is not None)
    assert annotations() == {"c8s.dev/address": "http://10.0.0.1:8081"}
    await cancel_tasks(first)
    second = asyncio.create_task(one("b", "").run(forever))
    await clock.advance_until(lambda: annotations() != {"c8s.dev/address": "http://10.0.0.1:8081"})
    assert annotations() == {"c8s.dev/address": ""}
    await cancel_tasks(second)
