"""The operator's port and the mirror on it: who is let in, and who is believed."""

import array
import asyncio
import io
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from controller.api.readiness import Readiness
from controller.api.server import serve
from controller.api.streaming.watch_cache import WatchCache
from controller.log_relay import LogMirror, NoLeaderError, OperatorServer, derive_relay_key
from controller.log_relay.auth import (
    CLOCK_SKEW_SECONDS,
    LIFETIME_SECONDS,
    PROOF_HEADER,
    sign_request,
    sign_response,
    verify_request,
)
from controller.log_relay.server import LIVE_PATH, MAX_BODY_BYTES
from controller.logs import LinePart, LogReader
from controller.logs.live.hub import LogHub
from controller.logs.model import Block, PartialLine, Stream
from controller.storage import DirectoryStore

STREAM = Stream("ns", "run-1", "build", 1, "step")
KEY = derive_relay_key(b"k" * 32)
ASKED = json.dumps({"namespace": "ns", "run": "run-1", "have": []}).encode()


@dataclass
class RunningServer:
    """A server on a loopback port."""

    address: str
    hub: LogHub
    readiness: Readiness
    leads: list[bool]


@asynccontextmanager
async def run_server(key: bytes = KEY) -> AsyncIterator[RunningServer]:
    listener = socket.create_server(("127.0.0.1", 0))
    found = RunningServer(f"http://127.0.0.1:{listener.getsockname()[1]}", LogHub(), Readiness(), [True])
    stop = asyncio.Event()

    async def may(token: str) -> bool:
        return token == "token-of-ops"

    def leading() -> bool:
        return found.leads[0] and not stop.is_set()

    made = OperatorServer(found.hub, key, found.address, found.readiness, leading, lambda: b"up 1\n", may)
    async with asyncio.TaskGroup() as group:
        served = group.create_task(serve(made.app(), listener, WatchCache(), stop))
        try:
            yield found
        finally:
            stop.set()
            await served


async def status(server: RunningServer, header: str, body: bytes = ASKED) -> int:
    headers = {"Authorization": header} if header else {}
    url = server.address + LIVE_PATH
    async with aiohttp.ClientSession() as http, http.post(url, data=io.BytesIO(body), headers=headers) as got:
        return got.status


def signed_header(address: str, body: bytes = ASKED, key: bytes = KEY, now: float | None = None) -> str:
    return sign_request(key, address, body, now=time.time() if now is None else now, nonce="n")


async def test_logs_are_for_an_api_of_the_installation_alone() -> None:
    async with run_server() as server:
        assert await status(server, "") == 401
        assert await status(server, "Bearer token-of-ops") == 401
        assert await status(server, signed_header(server.address, key=derive_relay_key(b"x" * 32))) == 401
        assert await status(server, signed_header("http://10.0.0.9:8081")) == 401
        assert await status(server, signed_header(server.address, body=b"{}")) == 401
        assert (
            await status(
                server, signed_header(server.address, now=time.time() - LIFETIME_SECONDS - CLOCK_SKEW_SECONDS - 1)
            )
            == 401
        )
        assert await status(server, signed_header(server.address, body=b"{}"), b"{}") == 400
        assert await status(server, signed_header(server.address), b"x" * (MAX_BODY_BYTES + 1)) == 413
        server.leads[0] = False
        assert await status(server, signed_header(server.address)) == 503


def test_signature_allows_a_minute_of_age_and_of_clock_skew() -> None:
    header = sign_request(KEY, "http://a:1", b"", now=1000.0, nonce="n")
    assert verify_request(KEY, header, "http://a:1", b"", now=1000.0) == "n"
    assert verify_request(KEY, header, "http://a:1", b"", now=1000.0 - CLOCK_SKEW_SECONDS + 1) == "n"
    assert verify_request(KEY, header, "http://a:1", b"", now=1000.0 - CLOCK_SKEW_SECONDS - 1) is None
    assert (
        verify_request(KEY, header, "http://a:1", b"", now=1000.0 + LIFETIME_SECONDS + CLOCK_SKEW_SECONDS + 1) is None
    )
    assert verify_request(KEY, header.replace(".n.", ".m."), "http://a:1", b"", now=1000.0) is None


async def test_health_is_public_and_metrics_are_not() -> None:
    async with run_server() as server, aiohttp.ClientSession() as http:
        for path, token, expected in (
            ("/healthz", "", 200),
            ("/readyz", "", 200),
            ("/metrics", "", 401),
            ("/metrics", "token-of-ann", 403),
            ("/metrics", "token-of-ops", 200),
        ):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with http.get(server.address + path, headers=headers) as got:
                assert got.status == expected, path
        server.readiness.set_waiting("operator", "its watches are not up to date")
        async with http.get(server.address + "/readyz") as got:
            assert (got.status, (await got.json())["ready"]) == (503, False)


@asynccontextmanager
async def run_mirror(address: str, folder: Path) -> AsyncIterator[tuple[LogMirror, LogReader]]:
    store = DirectoryStore(folder, b"k" * 32, "http://x")

    async def find() -> str:
        if not address:
            raise NoLeaderError("nobody leads")
        return address

    mirror = LogMirror(store, find, KEY)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(mirror.run())
        await asyncio.sleep(0)
        yield mirror, LogReader(mirror, store)
        task.cancel()


def lines(*texts: str) -> Block:
    return Block(1, array.array("q", range(len(texts))), "".join(f"{text}\n" for text in texts).encode())


async def test_unfinished_log_is_read_through_the_mirror(tmp_path: Path) -> None:
    async with run_server() as server, run_mirror(server.address, tmp_path) as (_, reader):
        server.hub.publish(server.hub.open(STREAM, 1, []), lines("one", "two"))
        assert b"".join([piece async for piece in reader.text(STREAM)]) == b"one\ntwo\n"


async def test_unfinished_line_is_seen_through_the_mirror(tmp_path: Path) -> None:
    async with run_server() as server, run_mirror(server.address, tmp_path) as (_, reader):
        log, partial = server.hub.open(STREAM, 1, []), PartialLine(3, 7, b"90%")
        server.hub.publish(log, lines("one", "two"))
        server.hub.set_partial(log, partial)
        following = reader.follow_run(STREAM.namespace, STREAM.run_uid, finished=asyncio.Event(), partial_lines=True)
        async with aclosing(following) as frames:
            async for frame in frames:
                if isinstance(frame, LinePart):
                    break
        assert frame == LinePart(STREAM, partial)


@pytest.mark.parametrize("kind", ["nobody", "stranger"])
async def test_who_does_not_prove_itself_is_not_believed(tmp_path: Path, kind: str) -> None:
    """A stranger at a former leader's address answers everything, and knows no key."""

    async def says_yes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        proof = sign_response(b"another key", "n")
        writer.write(f"HTTP/1.1 200 OK\r\n{PROOF_HEADER}: {proof}\r\ncontent-length: 5\r\n\r\nlies!".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(says_yes, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{port}" if kind == "stranger" else ""
    async with server, run_mirror(address, tmp_path) as (mirror, _):
        await mirror.wait_for_sync("ns", "run-1")
        assert mirror.logs("ns", "run-1") == []
