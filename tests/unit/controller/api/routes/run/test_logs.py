"""Logs over HTTP and WebSocket, from the real hub and store."""

import array
import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from controller.api.auth import authenticator
from controller.kube import PIPELINE_RUNS
from controller.logs import Block, Stream
from controller.logs.archive.writer import ArchiveWriter
from tests.unit.controller.api import fakes
from tests.unit.controller.api.fakes import ApiServer, run_api

RUN = "/api/v1/namespaces/a/runs/ci-1"
STREAM = Stream("a", "uid-of-ci-1", "build", 1, "step")
NOON = 1_767_268_800 * 10**9
HEADERS = {"Authorization": "Bearer token-of-ann"}


def block(first: int, *texts: str) -> Block:
    times = array.array("q", [NOON + number for number in range(len(texts))])
    return Block(first, times, "".join(f"{text}\n" for text in texts).encode())


async def create_run(api: ApiServer, **status: Any) -> None:
    body = {"metadata": {"name": "ci-1", "namespace": "a"}, "spec": {"pipeline": {"name": "ci"}}}
    await api.kubernetes.create(PIPELINE_RUNS, body, "a")
    steps = [{"name": "build", "slug": "build", "attempts": [{"number": 1}]}, {"name": "idle", "slug": "idle"}]
    api.kubernetes.status("a", "ci-1", **{"phase": "Running", "steps": steps, **status})


async def frames(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[dict[str, Any]]:
    """The frames of a socket, also those that came in one batch."""
    async with asyncio.timeout(60):
        async for message in socket:
            found = message.json()
            for frame in found["frames"] if found["type"] == "batch" else [found]:
                yield frame


async def all_frames(api: ApiServer, query: str = "") -> list[dict[str, Any]]:
    async with api.http.ws_connect(f"{api.url}{RUN}/logs/stream{query}", headers=HEADERS) as socket:
        return [frame async for frame in frames(socket)]


async def test_the_text_of_a_step(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api)
        log = api.hub.open(STREAM, 1, [])
        api.hub.publish(log, block(1, "one", "<b>two</b>", "three"))
        answer = await api.call("GET", f"{RUN}/steps/build/logs")
        assert answer.body == b"one\n<b>two</b>\nthree\n"
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        tail = await api.call("GET", f"{RUN}/steps/build/logs?tail=1&timestamps=true")
        assert tail.body == b"2026-01-01T12:00:00.000000Z three\n"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("steps/nosuch/logs", 404),
        ("steps/idle/logs", 404),
        ("steps/build/logs?attempt=2", 404),
        ("steps/build/logs?container=upload", 404),
        ("steps/build/logs?container=../x", 422),
        ("steps/build/logs?tail=-1", 422),
    ],
)
async def test_missing_log_is_a_problem(tmp_path: Path, path: str, status: int) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api)
        api.hub.publish(api.hub.open(STREAM, 1, []), block(1, "one"))
        assert (await api.call("GET", f"{RUN}/{path}")).problem[0] == status


async def test_websocket_sends_backlog_live_lines_and_end(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api)
        log = api.hub.open(STREAM, 1, [])
        api.hub.publish(log, block(1, "one", "two"))
        named = {"step": "build", "attempt": 1, "container": "step"}
        time = 1_767_268_800_000_000
        async with api.http.ws_connect(f"{api.url}{RUN}/logs/stream?step=build", headers=HEADERS) as socket:
            received = frames(socket)
            first = {"type": "lines", **named, "first": 1, "lines": [[time, "one"], [time, "two"]]}
            assert await anext(received) == first
            assert await anext(received) == {"type": "live", **named}
            api.hub.publish(log, block(3, "three"))
            third = await anext(received)
            assert (third["first"], third["lines"][0][1]) == (3, "three")
            api.hub.mark_ended(log)
            assert await anext(received) == {"type": "end", **named, "lines": 3}
            api.kubernetes.status("a", "ci-1", phase="Succeeded")
            assert [frame async for frame in received] == [{"type": "done"}]


async def test_a_socket_resumes_after_a_line(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api, phase="Failed")
        log = api.hub.open(STREAM, 1, [])
        api.hub.publish(log, block(1, *(f"line {number}" for number in range(1, 101))))
        api.hub.mark_ended(log)
        found = await all_frames(api, "?after=build:1:step:98")
        texts = [text for frame in found if frame["type"] == "lines" for _, text in frame["lines"]]
        assert texts == ["line 99", "line 100"]
        assert [frame["type"] for frame in found][-2:] == ["end", "done"]


async def test_stream_waits_for_a_run_to_start(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api, phase="Pending", steps=[])
        async with api.http.ws_connect(f"{api.url}{RUN}/logs/stream?step=build", headers=HEADERS) as socket:
            api.hub.publish(api.hub.open(STREAM, 1, []), block(1, "at last"))
            first = await anext(frames(socket))
            assert first["lines"][0][1] == "at last"


async def test_a_run_that_is_deleted_ends_its_sockets(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api)
        reading = asyncio.ensure_future(all_frames(api))
        while not api.hub.subscribers:
            await asyncio.sleep(0)
        await api.kubernetes.delete(PIPELINE_RUNS, "ci-1", "a")
        assert (await asyncio.wait_for(reading, 60))[-1] == {"type": "done"}


async def test_the_end_of_the_process_ends_the_sockets(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api)
        socket = await api.http.ws_connect(f"{api.url}{RUN}/logs/stream", headers=HEADERS)
        api.stop.set()
        assert (await asyncio.wait_for(socket.receive(), 60)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.TEXT)
        await socket.close()


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {}, 401),
        ("?ticket=guess", {}, 401),
        ("", {"Authorization": "Bearer token-of-bob"}, 403),
        ("", {**HEADERS, "Origin": "http://evil.example"}, 403),
        ("", {**HEADERS, "Host": "evil.example"}, 421),
        ("?after=x", HEADERS, 400),
        ("?step=nosuch", HEADERS, 404),
        ("?step=..%2Fx", HEADERS, 404),
        ("?" + "&".join(["step=build"] * 301), HEADERS, 422),
    ],
)
async def test_a_socket_that_may_not_open_says_why(
    tmp_path: Path, query: str, headers: dict[str, str], status: int
) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api)
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await api.http.ws_connect(f"{api.url}{RUN}/logs/stream{query}", headers=headers)
        assert caught.value.status == status
        assert caught.value.headers is not None
        assert caught.value.headers["Content-Type"] == "application/problem+json"


async def ticket_for(api: ApiServer, path: str) -> str:
    return str((await api.call("POST", "/api/v1/tickets", json={"path": path})).json["ticket"])


async def test_a_ticket_opens_one_socket(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api, phase="Succeeded")
        ticket = await ticket_for(api, f"{RUN}/logs/stream")
        url = f"{api.url}{RUN}/logs/stream?ticket={ticket}"
        async with api.http.ws_connect(url) as socket:
            assert await anext(frames(socket)) == {"type": "done"}
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await api.http.ws_connect(url)


async def test_a_ticket_for_another_socket_opens_none(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api, phase="Succeeded")
        ticket = await ticket_for(api, f"{RUN}/steps/build/exec")
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await api.http.ws_connect(f"{api.url}{RUN}/logs/stream?ticket={ticket}")
        assert caught.value.status == 401


async def test_ticket_has_only_its_users_permissions(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api)
        path = {"path": f"{RUN}/logs/stream"}
        ticket = (await api.call("POST", "/api/v1/tickets", json=path, token="token-of-bob")).json["ticket"]
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await api.http.ws_connect(f"{api.url}{RUN}/logs/stream?ticket={ticket}")
        assert caught.value.status == 403


@pytest.mark.parametrize("by_ticket", [False, True])
async def test_a_token_that_is_taken_away_closes_a_busy_socket(
    tmp_path: Path, by_ticket: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticator, "ALLOWED_TTL", 0.0)
    async with run_api(tmp_path, heartbeat_seconds=0.05) as api:
        await create_run(api)
        log = api.hub.open(STREAM, 1, [])
        url = f"{api.url}{RUN}/logs/stream"
        if by_ticket:
            url += f"?ticket={await ticket_for(api, f'{RUN}/logs/stream')}"
        async with api.http.ws_connect(url, headers={} if by_ticket else HEADERS) as socket:
            api.hub.publish(log, block(1, "first"))
            await socket.receive()
            monkeypatch.setitem(fakes.RIGHTS, fakes.ANN, ("ann", set()))
            number = 2
            while not socket.closed:
                api.hub.publish(log, block(number, "more"))
                number += 1
                with contextlib.suppress(TimeoutError):
                    await socket.receive(0.01)
            assert socket.close_code == 1008


async def test_slow_reader_receives_missed_lines(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create_run(api)
        log = api.hub.open(STREAM, 1, [])
        api.hub.publish(log, block(1, "first"))
        async with api.http.ws_connect(f"{api.url}{RUN}/logs/stream", headers=HEADERS) as socket:
            received = frames(socket)
            assert (await anext(received))["lines"][0][1] == "first"
            number = 2
            while log.ring.first < 8000:
                api.hub.publish(log, block(number, *["x" * 1000] * 500))
                number += 500
                await asyncio.sleep(0)
            api.hub.mark_ended(log)
            api.kubernetes.status("a", "ci-1", phase="Succeeded")
            got, missed, kinds = 1, 0, set()
            async for frame in received:
                kinds.add(frame["type"])
                got += len(frame.get("lines", ())) if frame["type"] == "lines" else 0
                missed += frame["last"] - frame["first"] + 1 if frame["type"] == "missed" else 0
            assert kinds >= {"missed", "lines", "end", "done"}
            assert got + missed == number - 1


async def test_log_of_a_producer_that_is_known_by_name_only_is_refused(tmp_path: Path) -> None:
    """Another run may have the name by now."""
    async with run_api(tmp_path) as api:
        reused = {"run": "ci-0", "slug": "build", "attempt": 2}
        await create_run(api, phase="Succeeded", steps=[{"name": "build", "slug": "build", "reused": reused}])
        answer = await api.call("GET", f"{RUN}/steps/build/logs")
        assert (answer.problem, "another run may have its name" in answer.json["detail"]) == ((404, "not-found"), True)
        assert [frame["type"] for frame in await all_frames(api)] == ["done"]


async def test_websocket_streams_the_log_of_a_reused_step(tmp_path: Path) -> None:
    """The step is found to be the same only while a client watches; its lines are those of the run that made them."""
    async with run_api(tmp_path) as api:
        await create_run(api, phase="Pending", steps=[])
        archive = ArchiveWriter(api.store, Stream("a", "uid-of-ci-0", "build", 2, "step"))
        archive.add(block(1, "made before", "and kept"))
        await archive.finish(None, None)
        async with api.http.ws_connect(f"{api.url}{RUN}/logs/stream", headers=HEADERS) as socket:
            reused = {
                "name": "build",
                "slug": "build",
                "reused": {"run": "ci-0", "uid": "uid-of-ci-0", "slug": "build", "attempt": 2},
            }
            api.kubernetes.status("a", "ci-1", phase="Succeeded", steps=[reused])
            found = [frame async for frame in frames(socket)]
        named = {"step": "build", "attempt": 2, "container": "step"}
        assert [frame["type"] for frame in found] == ["lines", "live", "end", "done"]
        assert found[0].items() >= {**named, "first": 1}.items()
        assert [text for _, text in found[0]["lines"]] == ["made before", "and kept"]
        assert found[2] == {"type": "end", **named, "lines": 2}
        later = await all_frames(api, "?after=build:2:step:1&step=build")
        assert [text for frame in later if frame["type"] == "lines" for _, text in frame["lines"]] == ["and kept"]
