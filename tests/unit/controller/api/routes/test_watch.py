"""Server-sent events of runs, as bytes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.api.http.problems import ApiProblemError
from controller.api.streaming.sse import ReauthorizationTimer, WatchFilter, event_stream, resume_version
from controller.api.streaming.watch_cache import WatchCache
from tests.unit.controller.api.streaming.test_watch_cache import run, synced_cache


async def always_authorized() -> bool:
    return True


async def never_authorized() -> bool:
    return False


def parse_events(raw: bytes) -> dict[str, Any]:
    fields = dict(line.split(": ", 1) for line in raw.decode().strip().split("\n") if ": " in line and line[0] != ":")
    if "data" in fields:
        fields["data"] = json.loads(fields["data"])
    return fields


def stream(
    watch_cache: WatchCache, since: int | None, run: str | None = None, present: list[Any] | None = None, **more: Any
) -> AsyncIterator[bytes]:
    return event_stream(
        watch_cache,
        WatchFilter("a", run, since),
        lambda: present or [],
        ReauthorizationTimer(more.pop("still", always_authorized), more.pop("beat", 5.0)),
    )


async def test_watch_without_version_starts_with_the_current_state() -> None:
    watch_cache = synced_cache(10)
    reader = stream(watch_cache, None, present=[run("x", 4), run("other", 5, namespace="b")])
    first, second = parse_events(await anext(reader)), parse_events(await anext(reader))
    assert (first["event"], first["data"]["name"]) == ("added", "x")
    assert "id" not in first
    assert (second["event"], second["id"]) == ("bookmark", "10")
    watch_cache.record("modified", run("x", 11))
    third = parse_events(await anext(reader))
    assert (third["event"], third["id"], third["data"]["resourceVersion"]) == ("modified", "11", "11")


async def test_resuming_returns_later_changes() -> None:
    watch_cache = synced_cache(10)
    for version in (11, 12, 13):
        watch_cache.record("modified", run("x", version))
    reader = stream(watch_cache, 11)
    assert (await anext(reader)).startswith(b":")
    assert [parse_events(await anext(reader))["id"] for _ in range(2)] == ["12", "13"]


async def test_resuming_from_a_dropped_version_restarts() -> None:
    reader = stream(synced_cache(10), 3)
    assert [part async for part in reader][-1].startswith(b"id:\nevent: restart\n")


async def test_a_reader_that_is_overtaken_is_asked_to_list_again() -> None:
    watch_cache = synced_cache(10, max_changes=2)
    reader = stream(watch_cache, 10)
    await anext(reader)
    for version in range(11, 20):
        watch_cache.record("modified", run("x", version))
    assert b"event: restart" in await anext(reader)


async def test_other_namespaces_and_other_runs_are_not_seen() -> None:
    watch_cache = synced_cache(10)
    watch_cache.record("added", run("x", 11, namespace="b"))
    watch_cache.record("added", run("y", 12))
    watch_cache.record("deleted", run("x", 13))
    reader = stream(watch_cache, 10, run="x")
    await anext(reader)
    only = parse_events(await anext(reader))
    assert (only["event"], only["id"]) == ("deleted", "13")


async def test_silence_is_filled_with_bookmarks_and_heartbeats() -> None:
    watch_cache = synced_cache(10)
    watch_cache.record("added", run("x", 11, namespace="b"))
    reader = stream(watch_cache, 10, beat=0.001)
    await anext(reader)
    assert parse_events(await anext(reader))["id"] == "11"
    assert await anext(reader) == b": heartbeat\n\n"


async def test_the_stream_ends_when_the_right_is_taken_away() -> None:
    reader = stream(synced_cache(10), 10, still=never_authorized, beat=0.001)
    assert [part async for part in reader] == [b": here\n\n"]


async def test_busy_stream_is_reauthorized() -> None:
    watch_cache, asked = synced_cache(10), 0

    async def once() -> bool:
        nonlocal asked
        asked += 1
        return asked < 2

    clock = iter(range(1000))
    guard = ReauthorizationTimer(once, seconds=20, now=lambda: next(clock))
    reader = event_stream(watch_cache, WatchFilter("a", None, 10), list, guard)
    seen = 0
    await anext(reader)
    for version in range(11, 400):
        watch_cache.record("modified", run("x", version))
        part = await anext(reader, None)
        if part is None:
            break
        seen += 1
    assert asked == 2
    assert 5 < seen < 60


async def test_a_busy_stream_has_heartbeats_too() -> None:
    watch_cache = synced_cache(10)
    reader = stream(watch_cache, 10, beat=0.0)
    await anext(reader)
    for version in range(11, 300):
        watch_cache.record("modified", run("x", version))
    parts = [await anext(reader) for _ in range(300)]
    assert any(not part.startswith(b"id: ") for part in parts)


async def test_the_stream_ends_with_the_process() -> None:
    watch_cache = synced_cache(10)
    reader = stream(watch_cache, 10)
    await anext(reader)
    watch_cache.close()
    assert [part async for part in reader] == []


def test_last_event_id_takes_precedence() -> None:
    assert resume_version("7", "3") == 7
    assert resume_version(None, "3") == 3
    assert resume_version("", None) is None


@pytest.mark.parametrize("text", ["x", "-1", "1e3", "²", "9" * 30])
def test_an_id_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ApiProblemError):
        resume_version(text, None)
