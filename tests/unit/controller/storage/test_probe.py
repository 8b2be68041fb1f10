"""The probe of the store reports when it goes away and when it is back, and never piles up."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from controller.api.readiness import Readiness
from controller.storage import DirectoryStore, ObjectInfo, StoreUnavailableError
from controller.storage.probe import StoreProbe
from tests.support.waiting import wait_until_async


class HangingStore(DirectoryStore):
    """A store that can be taken away, or made to hang."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, b"k" * 32, "http://x")
        self.failure = ""
        self.probes = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        self.probes += 1
        await self.answers.wait()
        if self.failure:
            raise StoreUnavailableError(self.failure)
        async for found in super().list(prefix):
            yield found


@asynccontextmanager
async def probing(store: DirectoryStore, timeout: float = 60.0) -> AsyncIterator[Readiness]:
    """The readiness of a process whose store is probed without pauses.

    A store that is asked while the machine is busy must not count as one that does not answer: only its own test has a
    short `timeout`, in seconds.
    """
    readiness = Readiness()
    readiness.set_waiting("store", "not asked yet")

    def report(reason: str | None) -> None:
        readiness.set_ready("store") if reason is None else readiness.set_waiting("store", reason)

    task = asyncio.create_task(StoreProbe(store, report, interval=0.001, retry=0.001, timeout=timeout).run())
    try:
        yield readiness
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_readiness_follows_the_store(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "c8s.storage")
    store = HangingStore(tmp_path)
    async with probing(store) as readiness:
        await wait_until_async(lambda: readiness.document()["ready"])
        store.failure = "the bucket does not exist"
        await wait_until_async(lambda: not readiness.document()["ready"])
        why = "the object store can't be used: the bucket does not exist"
        assert readiness.document()["waitingFor"] == [{"part": "store", "why": why}]
        probes = store.probes
        await wait_until_async(lambda: store.probes > probes + 3)
        store.failure = ""
        await wait_until_async(lambda: readiness.document()["ready"])
    assert [record.getMessage() for record in caplog.records] == [
        f"not ready: {why}",
        "the object store can be used again",
    ]


async def test_a_hanging_store_is_not_ready_and_asked_once(tmp_path: Path) -> None:
    store = HangingStore(tmp_path)
    store.answers.clear()
    async with probing(store, timeout=0.02) as readiness:
        await wait_until_async(lambda: "has not answered for 0.02 s" in str(readiness.document()))
        assert store.probes == 1
        store.answers.set()
        await wait_until_async(lambda: readiness.document()["ready"])


async def test_a_store_whose_directory_is_gone_is_not_ready(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = DirectoryStore(folder, b"k" * 32, "http://x")
    async with probing(store) as readiness:
        await wait_until_async(lambda: readiness.document()["ready"])
        folder.rename(tmp_path / "unmounted")
        await wait_until_async(lambda: "does not exist" in str(readiness.document()))
        (tmp_path / "unmounted").rename(folder)
        await wait_until_async(lambda: readiness.document()["ready"])
