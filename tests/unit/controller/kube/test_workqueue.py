"""The queue: each key once, by priority, never the same one twice at a time."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from controller.kube import WorkQueue, WorkQueueDurations, WorkQueueMetrics
from tests.support.metrics import series


async def take_keys(queue: WorkQueue[str], count: int) -> list[str]:
    async with asyncio.timeout(60):
        return [await queue.get() for _ in range(count)]


async def is_empty(queue: WorkQueue[str]) -> bool:
    task = asyncio.ensure_future(queue.get())
    for _ in range(3):
        await asyncio.sleep(0)
    waits = not task.done()
    task.cancel()
    await asyncio.wait([task])
    return waits


async def test_keys_come_by_priority_and_then_in_order() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key, priority in (("a", 0), ("low", -1), ("b", 0), ("high", 1)):
        queue.add(key, priority=priority)
    assert await take_keys(queue, 4) == ["high", "a", "b", "low"]


async def test_a_key_is_queued_once_with_its_highest_priority() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("b")
    queue.add("a")
    queue.add("a", priority=1)
    queue.add("a", priority=-1)
    assert len(queue) == 2
    assert await take_keys(queue, 2) == ["a", "b"]
    assert await is_empty(queue)


async def test_a_key_that_is_worked_on_comes_again_only_afterwards() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    assert await is_empty(queue)
    queue.done("a")
    assert await take_keys(queue, 1) == ["a"]
    queue.done("a")
    assert await is_empty(queue)


async def test_of_several_wishes_for_later_the_earliest_counts() -> None:
    now = [0.0]
    queue: WorkQueue[str] = WorkQueue(clock=lambda: now[0])
    for seconds in (50, 10, 30):
        queue.add_after("a", seconds)
    now[0] = 9.9
    assert await is_empty(queue)
    now[0] = 10
    assert await take_keys(queue, 1) == ["a"]
    queue.done("a")
    now[0] = 100
    assert await is_empty(queue)


async def test_a_worker_that_waits_wakes_up_when_a_key_is_due() -> None:
    queue: WorkQueue[str] = WorkQueue()
    task = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.add_after("a", 0.01)
    async with asyncio.timeout(60):
        assert await task == "a"


async def test_two_workers_share_the_keys() -> None:
    queue: WorkQueue[str] = WorkQueue()
    workers = [asyncio.ensure_future(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("a")
    queue.add("b")
    async with asyncio.timeout(60):
        assert sorted(await asyncio.gather(*workers)) == ["a", "b"]


async def test_backoff_grows_to_a_minute_and_resets_on_success() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=lambda: 0.0, jitter=lambda: 0.5)
    delays = [queue.add_rate_limited("a") for _ in range(15)]
    assert delays[:4] == [0.01, 0.02, 0.04, 0.08]
    assert delays[-1] == 60.0
    queue.forget("a")
    assert queue.add_rate_limited("a") == 0.01


async def test_overtaken_wishes_are_not_kept_for_ever() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=lambda: 0.0)
    for seconds in range(10_000, 0, -1):
        queue.add_after("a", seconds)
    assert len(queue._delayed) < 200


@given(st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), st.sampled_from("abc"), st.integers(-1, 1))))
def test_no_key_is_lost_or_worked_on_twice_at_a_time(steps: list[tuple[str, str, int]]) -> None:
    async def play() -> None:
        queue: WorkQueue[str] = WorkQueue(clock=lambda: 0.0)
        wanted, busy = set[str](), set[str]()
        for step, key, priority in steps:
            if step == "add":
                queue.add(key, priority=priority)
                wanted.add(key)
            elif step == "get" and wanted - busy:
                found = (await take_keys(queue, 1))[0]
                assert found in wanted - busy
                wanted.discard(found)
                busy.add(found)
            elif step == "done" and key in busy:
                busy.discard(key)
                queue.done(key)
        assert len(queue) == len(wanted - busy)

    asyncio.run(play())


def in_namespaces() -> WorkQueue[tuple[str, str]]:
    return WorkQueue(clock=lambda: 0.0, fairness_key=lambda key: key[0])


async def test_busy_namespace_delays_another_by_one_run() -> None:
    queue = in_namespaces()
    for number in range(1000):
        queue.add(("crowd", str(number)))
    queue.add(("small", "a"))
    queue.add(("small", "b"))
    async with asyncio.timeout(60):
        first = [await queue.get() for _ in range(5)]
    assert first == [("crowd", "0"), ("small", "a"), ("crowd", "1"), ("small", "b"), ("crowd", "2")]


async def test_priority_goes_before_fairness() -> None:
    queue = in_namespaces()
    queue.add(("b", "low"), priority=-1)
    for number in range(3):
        queue.add(("a", str(number)), priority=1)
    async with asyncio.timeout(60):
        assert [name for _, name in [await queue.get() for _ in range(4)]] == ["0", "1", "2", "low"]


async def test_a_key_that_failed_or_is_due_later_keeps_its_priority() -> None:
    now = [0.0]
    queue: WorkQueue[str] = WorkQueue(clock=lambda: now[0], jitter=lambda: 0.5)
    queue.add_rate_limited("failed", priority=1)
    queue.add_after("later", 0.01, priority=1)
    queue.add("normal")
    now[0] = 1.0
    assert await take_keys(queue, 3) == ["failed", "later", "normal"]


async def test_the_queue_counts_waits_work_and_retries() -> None:
    now = [0.0]
    durations = WorkQueueDurations()
    metrics: WorkQueueMetrics[str] = WorkQueueMetrics("runs", durations)
    queue: WorkQueue[str] = WorkQueue(clock=lambda: now[0], jitter=lambda: 0.5, metrics=metrics)
    queue.add("a")
    queue.add("a", priority=1)
    now[0] = 3.0
    assert queue.metrics.oldest_wait(now[0]) == 3.0
    assert await take_keys(queue, 1) == ["a"]
    now[0] = 5.0
    assert queue.metrics.longest_running(now[0]) == queue.metrics.unfinished_work(now[0]) == 2.0
    queue.add_rate_limited("a")
    queue.done("a")
    assert metrics.adds == 1
    assert metrics.retries == 1
    assert metrics.unfinished_work(now[0]) == 0.0
    assert series(durations.queue)["workqueue_queue_duration_seconds_sum", None] == 3.0
    assert series(durations.queue)["workqueue_queue_duration_seconds_bucket", "+Inf"] == 1
    assert series(durations.work)["workqueue_work_duration_seconds_sum", None] == 2.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.integers(-1, 1)), max_size=60))
def test_keys_are_taken_round_robin_within_a_priority(asked: list[tuple[str, int, int]]) -> None:
    async def play() -> None:
        queue: WorkQueue[tuple[str, int]] = WorkQueue(clock=lambda: 0.0, fairness_key=lambda key: key[0])
        best: dict[tuple[str, int], int] = {}
        for lane, number, priority in asked:
            queue.add((lane, number), priority=priority)
            best[lane, number] = max(priority, best.get((lane, number), priority))
        order = [await queue.get() for _ in range(len(best))]
        assert sorted(order) == sorted(best)
        assert [best[key] for key in order] == sorted(best.values(), reverse=True)
        for at in range(1, len(order)):
            rest = {key[0] for key in order[at:] if best[key] == best[order[at]]}
            if best[order[at - 1]] == best[order[at]] and order[at - 1][0] == order[at][0]:
                assert rest == {order[at][0]}

    asyncio.run(play())
