"""The records of ended runs: none is lost and none counts twice, whatever is interrupted and whoever writes."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.statistics.records import KEPT_RUNS
from controller.statistics.store import SETTLED_AFTER, PipelineKey, add_records, read_runs
from controller.storage.base import ObjectInfo
from controller.storage.errors import ObjectNotFoundError, StoreUnavailableError

KEY = PipelineKey("default", "ns-uid", "shop")
START = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryStore:
    """Objects in memory. `left`: operations until the process is killed."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.now = START
        self.left = 10**9

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoreUnavailableError("killed")

    async def put(self, key: str, data: Any, *, if_absent: bool = False) -> None:
        self._count()
        self.objects[key] = (data, self.now)

    async def get(self, key: str, *, limit: int | None = None) -> bytes:
        self._count()
        await asyncio.sleep(0)
        if key not in self.objects:
            raise ObjectNotFoundError(key)
        return self.objects[key][0]

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        self._count()
        for key, (data, modified) in sorted(self.objects.items()):
            if key.startswith(prefix):
                yield ObjectInfo(key, len(data), modified)

    async def delete(self, key: str) -> None:
        self._count()
        self.objects.pop(key, None)


def record(number: int) -> dict[str, Any]:
    ended = START + timedelta(minutes=number)
    return {
        "uid": f"uid-{number}",
        "run": f"shop-{number}",
        "number": number,
        "phase": "Succeeded",
        "commit": "",
        "branch": "",
        "created": "",
        "ended": ended.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "s": 1.0,
        "steps": [],
    }


async def numbers(store: MemoryStore) -> list[int]:
    return [each["number"] for each in await read_runs(store, KEY)]


async def test_records_are_merged_and_the_oldest_are_dropped() -> None:
    store = MemoryStore()
    for number in range(KEPT_RUNS + 20):
        store.now = START + timedelta(minutes=number)
        await add_records(store, KEY, [record(number)], store.now)
    assert await numbers(store) == list(range(20, KEPT_RUNS + 20))
    assert len(store.objects) < 20, "settled records are removed"
    await add_records(store, KEY, [record(3)], store.now)
    assert await numbers(store) == list(range(20, KEPT_RUNS + 20)), "an old run does not come back"


@pytest.mark.parametrize("killed_after", range(1, 14))
async def test_a_kill_at_any_moment_loses_nothing_and_doubles_nothing(killed_after: int) -> None:
    store = MemoryStore()
    await add_records(store, KEY, [record(1), record(2)], store.now)
    store.now += SETTLED_AFTER * 2
    store.left = killed_after
    try:
        await add_records(store, KEY, [record(3)], store.now)
    except StoreUnavailableError:
        store.left = 10**9
        assert [n for n in await numbers(store) if n < 3] == [1, 2]
        # The next leader finds the run in the cluster.
        await add_records(store, KEY, [record(3)], store.now)
    store.left = 10**9
    assert await numbers(store) == [1, 2, 3]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=20), st.integers(0, 40))
async def test_two_writers_at_once_lose_nothing(writes: list[tuple[bool, int]], minutes: int) -> None:
    store = MemoryStore()
    done: set[int] = set()
    for together, number in writes:
        store.now += timedelta(minutes=minutes)
        others = [add_records(store, KEY, [record(number + 100)], store.now)] if together else []
        await asyncio.gather(add_records(store, KEY, [record(number)], store.now), *others)
        done |= {number} | ({number + 100} if together else set())
    assert await numbers(store) == sorted(done)[-KEPT_RUNS:]


async def test_an_overwritten_history_is_completed_from_the_records() -> None:
    store = MemoryStore()
    await add_records(store, KEY, [record(1)], store.now)
    stale = store.objects[KEY.history]
    await add_records(store, KEY, [record(2)], store.now)
    # Another process that led before writes what it had read.
    store.objects[KEY.history] = stale
    assert await numbers(store) == [1, 2]
    await add_records(store, KEY, [], store.now)
    assert await numbers(store) == [1, 2]


async def test_damaged_objects_count_as_missing() -> None:
    store = MemoryStore()
    await add_records(store, KEY, [record(1)], store.now)
    store.objects[KEY.history] = (b"damaged", store.now)
    store.objects[f"{KEY.prefix}runs/1.uid-9.json"] = (json.dumps([1]).encode(), store.now)
    assert await numbers(store) == [1]
