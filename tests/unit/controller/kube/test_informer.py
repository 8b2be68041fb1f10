"""The cache follows the server, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from controller.kube import PODS, GoneError, Informer, KubeError, UnreachableError, WatchEvent
from tests.unit.controller.kube.server import pod

Json = dict[str, Any]
Script = list[list[WatchEvent | Exception]]


class ScriptedClient:
    """Lists and watches by script; when the script is at its end, watches stay open."""

    def __init__(self, lists: list[Json | Exception], watches: Script) -> None:
        self.lists, self.watches = lists, watches
        self.asked: list[str] = []
        self.idle = asyncio.Event()

    async def list(self, *_: Any, **__: Any) -> Json:
        self.asked.append("list")
        answer = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def watch(self, *_: Any, resource_version: str, on_open: Any, **__: Any) -> AsyncIterator[WatchEvent]:
        self.asked.append(f"watch {resource_version}")
        if not self.watches:
            on_open()
            self.idle.set()
            await asyncio.Event().wait()
        for each in self.watches.pop(0):
            if isinstance(each, Exception):
                raise each
            on_open()
            yield each


def whole(version: int, *items: Json) -> Json:
    return {"items": list(items), "metadata": {"resourceVersion": str(version)}}


class RecordedEvents:
    """The calls of the handlers, and the pauses."""

    def __init__(self, client: ScriptedClient) -> None:
        self.changes: list[tuple[str, str]] = []
        self.pauses: list[float] = []
        self.time = 0.0
        self.informer = Informer(
            client,  # type: ignore[arg-type]
            PODS,
            pause=self.pause,
            jitter=lambda: 0.5,
            clock=lambda: self.time,
        )
        self.informer.on_change(self.take)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)

    def take(self, kind: str, old: Json | None, new: Json | None) -> None:
        self.changes.append((kind, (new or old or {})["metadata"]["name"]))


@asynccontextmanager
async def run_informer(
    lists: list[Json | Exception], watches: Script
) -> AsyncIterator[tuple[RecordedEvents, ScriptedClient]]:
    """An informer that has followed the script to its end."""
    client = ScriptedClient(lists, watches)
    recorded = RecordedEvents(client)
    task = asyncio.create_task(recorded.informer.run())
    try:
        async with asyncio.timeout(60):
            await client.idle.wait()
        yield recorded, client
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_handlers_get_what_exists_and_then_what_changes() -> None:
    events = [WatchEvent("MODIFIED", pod("a", 2)), WatchEvent("ADDED", pod("b", 3)), WatchEvent("DELETED", pod("a", 4))]
    async with run_informer([whole(1, pod("a", 1))], [[*events]]) as (recorded, client):
        assert recorded.changes == [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
        assert [each["metadata"]["name"] for each in recorded.informer.list("a")] == ["b"]
        assert client.asked == ["list", "watch 1", "watch 4"]
        await recorded.informer.wait_for_sync()


async def test_bookmark_advances_the_watch_without_an_event() -> None:
    mark = WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "77"}})
    async with run_informer([whole(1)], [[mark]]) as (recorded, client):
        assert client.asked == ["list", "watch 1", "watch 77"]
        assert recorded.changes == []


async def test_after_a_gap_handlers_get_the_difference() -> None:
    second = whole(9, pod("b", 2), pod("c", 8), pod("d", 7, uid="new"))
    first = whole(1, pod("a", 1), pod("b", 2), pod("c", 3), pod("d", 4, uid="old"))
    async with run_informer([first, second], [[GoneError("too old", status=410)]]) as (recorded, client):
        assert client.asked == ["list", "watch 1", "list", "watch 9"]
        assert recorded.changes[4:] == [("DELETED", "a"), ("MODIFIED", "c"), ("DELETED", "d"), ("ADDED", "d")]


async def test_after_a_broken_stream_the_watch_goes_on_where_it_was() -> None:
    script: Script = [[WatchEvent("ADDED", pod("a", 5)), UnreachableError("broken")]]
    async with run_informer([whole(1)], script) as (recorded, client):
        assert client.asked == ["list", "watch 1", "watch 5"]
        assert recorded.informer.healthy, "it is followed again, though nothing has happened since"


@pytest.mark.parametrize("trouble", [[], [GoneError("too old", status=410)], [UnreachableError("refused")]])
async def test_a_server_in_trouble_is_asked_less_and_less_often(trouble: list[Any]) -> None:
    async with run_informer([whole(1)], [list(trouble) for _ in range(9)]) as (recorded, _):
        assert recorded.pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0]


async def test_after_a_watch_that_held_long_the_next_begins_soon() -> None:
    client = ScriptedClient([whole(1)], [[], [], []])
    recorded = RecordedEvents(client)

    async def pause(seconds: float) -> None:
        recorded.pauses.append(seconds)
        recorded.time += 100
        await asyncio.sleep(0)

    recorded.informer._pause = pause
    recorded.informer._clock = lambda: recorded.time + 300 * len(client.asked)
    task = asyncio.create_task(recorded.informer.run())
    async with asyncio.timeout(60):
        await client.idle.wait()
    task.cancel()
    await asyncio.wait([task])
    assert set(recorded.pauses) == {0.05}


async def test_a_list_that_fails_is_tried_again() -> None:
    async with run_informer([KubeError("no"), whole(1, pod("a", 1))], []) as (recorded, client):
        assert client.asked == ["list", "list", "watch 1"]
        assert recorded.changes == [("ADDED", "a")]
