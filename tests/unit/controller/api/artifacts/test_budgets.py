"""Budgets count what is stored and what was promised, and are checked again when an upload is committed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.api.artifacts.budgets import LISTING_SECONDS, StorageBudget, format_bytes
from controller.api.http.problems import ApiProblemError
from controller.storage import UPLOADS, ObjectInfo
from tests.support.clock import FakeClock

LIMIT = 100


class FakeSizes:
    """Sizes by key."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.lists = 0

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        self.lists += 1
        for key, size in list(self.sizes.items()):
            if key.startswith(prefix):
                yield ObjectInfo(key, size, datetime.now(UTC))

    async def delete(self, key: str) -> None:
        self.sizes.pop(key, None)


class Setup:
    def __init__(self, limit: int = LIMIT) -> None:
        self.store, self.clock = FakeSizes(), FakeClock()
        self.budget = self.replica(limit)

    def replica(self, limit: int = LIMIT) -> StorageBudget:
        store: Any = self.store
        return StorageBudget(store, "the artifacts", "--limit", limit, depth=3, promise_seconds=900, clock=self.clock)


def key(number: int, run: str = "run-1") -> str:
    return f"artifacts/a/{run}/build/{number}.x.tar.gz"


async def test_what_was_promised_counts_before_it_is_stored() -> None:
    setup = Setup()
    await setup.budget.promise(key(1), 60)
    with pytest.raises(ApiProblemError) as caught:
        await setup.budget.promise(key(2), 50)
    assert caught.value.slug == "over-budget"
    assert caught.value.detail == (
        "the artifacts would have 110 bytes together: 60 bytes are stored or being stored, 50 bytes are new, "
        "and the limit is 100 bytes (--limit)"
    )
    await setup.budget.promise(key(2), 40)
    await setup.budget.promise(key(1, "run-2"), LIMIT)


async def test_an_upload_that_is_tried_again_counts_once() -> None:
    setup = Setup()
    for _ in range(3):
        await setup.budget.promise(key(1), 60)
    setup.store.sizes[key(1)] = 60
    setup.clock.advance(LISTING_SECONDS + 1)
    await setup.budget.promise(key(1), 60)
    await setup.budget.commit(key(1), 60)
    assert await setup.budget.left(key(2)) == 40
    assert await setup.budget.left(key(1)) == LIMIT


async def test_a_promise_ends_with_its_url() -> None:
    setup = Setup()
    await setup.budget.promise(key(1), LIMIT)
    setup.clock.advance(899)
    with pytest.raises(ApiProblemError):
        await setup.budget.promise(key(2), LIMIT)
    setup.clock.advance(2)
    await setup.budget.promise(key(2), LIMIT)


async def test_room_that_was_made_since_the_listing_is_used() -> None:
    setup = Setup()
    setup.store.sizes[key(1)] = LIMIT
    assert await setup.budget.left(key(2)) == 0
    del setup.store.sizes[key(1)]
    setup.clock.advance(2)
    await setup.budget.promise(key(2), LIMIT)


async def test_uploads_through_two_replicas_are_stopped_at_the_commit() -> None:
    setup = Setup()
    other = setup.replica()
    await setup.budget.promise(key(1), 60)
    await other.promise(key(2), 60)
    setup.store.sizes |= {UPLOADS + key(1): 60, UPLOADS + key(2): 60}
    with pytest.raises(ApiProblemError, match="over-budget"):
        await other.commit(key(2), 60)
    assert setup.store.sizes == {UPLOADS + key(1): 60}
    await setup.budget.commit(key(1), 60)


async def test_an_object_is_committed_by_a_replica_that_did_not_promise_it() -> None:
    setup = Setup()
    other = setup.replica()
    setup.store.sizes[key(1)] = 60
    assert await other.left(key(2)) == 40
    await other.commit(key(1), 60)
    assert setup.store.sizes == {key(1): 60}


async def test_a_listing_is_used_again_for_a_while() -> None:
    setup = Setup(10_000)
    for number in range(50):
        await setup.budget.promise(key(number), 1)
    assert setup.store.lists == 2, "one of objects, one of uploads"


async def test_without_a_limit_nothing_is_counted() -> None:
    setup = Setup(0)
    await setup.budget.promise(key(1), 10**15)
    await setup.budget.commit(key(1), 10**15)
    assert await setup.budget.left(key(1)) is None
    assert setup.store.lists == 0


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1 << 30, "1 GiB"), (1_600_000, "1.5 MiB")]
)
def test_sizes_are_shown_with_a_unit(size: int, text: str) -> None:
    assert format_bytes(size) == text
