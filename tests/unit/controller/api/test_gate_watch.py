"""The watch of gates that all agents share: when those who wait are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from controller import labels
from controller.api.gate_watch import GateWatch
from controller.kube import NotFoundError
from controller.operator.gate import Opening
from tests.support.waiting import wait_until_async
from tests.unit.controller.kube.server import event, list_response, serve_client, status

Json = dict[str, Any]
OPENED = '{"at": "2026-01-01T00:00:00+00:00", "holds": ["failed"]}'
LONG = 20.0


def job(version: int, *, uid: str = "u", opened: str = "") -> Json:
    metadata = {"name": "j", "namespace": "a", "uid": uid, "resourceVersion": str(version)}
    metadata |= {"labels": {labels.EARLY: "true"}, "creationTimestamp": "2026-01-01T00:00:00Z"}  # type: ignore[dict-item]
    if opened:
        metadata["annotations"] = {labels.OPENED: opened}  # type: ignore[assignment]
    return {"metadata": metadata, "spec": {"template": {"metadata": {}, "spec": {}}}, "status": {}}


class Cluster:
    """One Job, its changes, and how often it was asked for."""

    def __init__(self) -> None:
        self.job: Json | None = job(1)
        self.changes: asyncio.Queue[bytes] = asyncio.Queue()
        self.gets = self.watches = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            self.watches += 1
            assert request.query["labelSelector"] == f"{labels.EARLY}=true"
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(await self.changes.get())
        if request.path.endswith("/jobs"):
            return list_response(1, *([self.job] if self.job is not None else []))
        self.gets += 1
        return web.json_response(self.job) if self.job is not None else status(404, "NotFound")

    def change(self, kind: str, changed: Json) -> None:
        self.job = None if kind == "DELETED" else changed
        self.changes.put_nowait(event(kind, changed))


@asynccontextmanager
async def watched(cluster: Cluster) -> AsyncIterator[GateWatch]:
    async with serve_client(cluster.answer) as client:
        watch = GateWatch(client)
        running = asyncio.create_task(watch.run())
        try:
            yield watch
        finally:
            running.cancel()


async def test_nothing_is_watched_before_an_agent_waits() -> None:
    cluster = Cluster()
    async with watched(cluster) as watch:
        await asyncio.sleep(0)
        assert cluster.watches == 0
        assert await watch.wait("a", "j", "u", 0.01) is None
        await wait_until_async(lambda: cluster.watches == 1, what="the watch")


async def test_who_waits_is_told_of_the_opening() -> None:
    cluster = Cluster()
    async with watched(cluster) as watch:
        first, second = (asyncio.create_task(watch.wait("a", "j", "u", LONG)) for _ in range(2))
        await wait_until_async(lambda: cluster.watches == 1, what="the watch")
        cluster.change("MODIFIED", job(2))
        cluster.change("MODIFIED", job(3, opened=OPENED))
        for found in (await first, await second):
            assert isinstance(found, Opening)
            assert found.holds == ("failed",)


async def test_gate_that_is_open_already_is_told_at_once() -> None:
    cluster = Cluster()
    cluster.job = job(1, opened=OPENED)
    async with watched(cluster) as watch:
        assert await watch.wait("a", "j", "u", LONG) is not None


@pytest.mark.parametrize("other", [None, "another"])
async def test_job_that_is_gone_or_another_one_is_never_opened(other: str | None) -> None:
    cluster = Cluster()
    cluster.job = None if other is None else job(1, uid=other, opened=OPENED)
    async with watched(cluster) as watch:
        with pytest.raises(NotFoundError):
            await watch.wait("a", "j", "u", LONG)


async def test_who_waits_is_told_of_a_removal() -> None:
    cluster = Cluster()
    async with watched(cluster) as watch:
        waiting = asyncio.create_task(watch.wait("a", "j", "u", LONG))
        await wait_until_async(lambda: cluster.watches == 1, what="the watch")
        cluster.change("DELETED", job(2))
        with pytest.raises(NotFoundError):
            await waiting


async def test_cache_answers_once_it_has_the_job() -> None:
    cluster = Cluster()
    async with watched(cluster) as watch:
        await watch.wait("a", "j", "u", 0.01)
        await wait_until_async(lambda: cluster.watches == 1, what="the watch")
        gets = cluster.gets
        assert await watch.wait("a", "j", "u", 0.01) is None
        assert cluster.gets == gets


async def test_shutdown_ends_the_waiting() -> None:
    cluster = Cluster()
    async with watched(cluster) as watch:
        waiting = asyncio.create_task(watch.wait("a", "j", "u", LONG))
        await wait_until_async(lambda: cluster.watches == 1, what="the watch")
        watch.close()
        assert await waiting is None


async def test_damaged_opening_counts_as_one_without_holds() -> None:
    cluster = Cluster()
    cluster.job = job(1, opened="not JSON")
    async with watched(cluster) as watch:
        found = await watch.wait("a", "j", "u", LONG)
        assert found is not None
        assert found.holds == ()
