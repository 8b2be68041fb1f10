"""Slow clients lose their connection after a timeout."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from embedded.api.scheme import CONFIG_MAPS, NAMESPACES
from embedded.apiserver import timeouts
from embedded.apiserver.server import Server
from embedded.auth.rbac import Authorizer
from embedded.auth.tokens import MASTERS, Authenticator, User
from embedded.kubelet.kubelet import Kubelet, KubeletSettings
from embedded.kubelet.runtime.choice import process_runtime
from embedded.registry.registry import Registry
from embedded.storage.sqlite import SqliteStore
from tests.support.waiting import LONGEST

_HEAD = "Host: localhost\r\nAuthorization: Bearer t\r\n"
_PATH = "/api/v1/namespaces/default/configmaps"


@dataclass
class SlowClientServer:
    registry: Registry
    port: int

    async def open(self, text: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(text.encode())
        await writer.drain()
        return reader, writer


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlowClientServer]:
    for limit in ("HEADER_TIMEOUT", "BODY_TIMEOUT", "WRITE_TIMEOUT"):
        monkeypatch.setattr(timeouts, limit, 0.2)
    store = SqliteStore(tmp_path / "db")
    registry = Registry(store)
    registry.create(NAMESPACES, {"metadata": {"name": "default"}})
    authenticator = Authenticator(registry, {"t": User("admin", groups=(MASTERS,))}, b"k", lambda: datetime.now(UTC))
    server = Server(
        registry,
        authenticator,
        Authorizer(registry),
        Kubelet(registry, tmp_path, KubeletSettings(max_pods=1), process_runtime(tmp_path)),
    )
    http = server.create_runner()
    await http.setup()
    await web.TCPSite(http, "127.0.0.1", 0).start()
    try:
        yield SlowClientServer(registry, http.addresses[0][1])
    finally:
        server.close()
        await http.cleanup()
        store.close()


@pytest.mark.parametrize("text", ["GET ", f"GET {_PATH} HTTP/1.1\r\n{_HEAD}", f"GET {_PATH} HTTP/1.1\r\nX: y\r\n"])
async def test_unfinished_headers_close_the_connection(api: SlowClientServer, text: str) -> None:
    reader, writer = await api.open(text)
    async with asyncio.timeout(LONGEST):
        assert await reader.read() == b""
    writer.close()


async def test_an_unfinished_body_is_answered_with_408(api: SlowClientServer) -> None:
    reader, writer = await api.open(f"POST {_PATH} HTTP/1.1\r\n{_HEAD}Content-Length: 99\r\n\r\n{{")
    async with asyncio.timeout(LONGEST):
        assert b" 408 " in await reader.readline()
    writer.close()


async def test_an_idle_connection_between_requests_stays_open(api: SlowClientServer) -> None:
    reader, writer = await api.open("")
    for _ in range(3):
        writer.write(f"GET {_PATH} HTTP/1.1\r\n{_HEAD}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        assert json.loads(await reader.readexactly(length))["items"] == []
        # Longer than a head may take: between requests a client may rest.
        await asyncio.sleep(0.25)
    writer.close()


async def test_the_header_timeout_applies_to_later_requests(api: SlowClientServer) -> None:
    reader, writer = await api.open(f"GET {_PATH} HTTP/1.1\r\n{_HEAD}\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
    writer.write(b"GET ")
    async with asyncio.timeout(LONGEST):
        assert await reader.read() == b""
    writer.close()


async def test_a_watch_client_that_does_not_read_is_disconnected(api: SlowClientServer) -> None:
    reader, writer = await api.open(f"GET {_PATH}?watch=true HTTP/1.1\r\n{_HEAD}\r\n")
    await reader.readuntil(b"\r\n\r\n")
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    store = api.registry.store
    listeners = len(store._listeners)
    number = 0
    async with asyncio.timeout(LONGEST):
        while len(store._listeners) == listeners:
            number += 1
            config = {"metadata": {"name": f"c{number}"}, "data": {"k": "x" * 500_000}}
            api.registry.create(CONFIG_MAPS, config, namespace="default")
            await asyncio.sleep(0.01)
    writer.close()
