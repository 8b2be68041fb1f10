"""Clients that don't get on with it lose their connection, and nobody else notices."""

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
from embedded.kubelet import Kubelet, KubeletSettings
from embedded.registry.registry import Registry
from embedded.storage.sqlite import SqliteStore

_HEAD = "Host: localhost\r\nAuthorization: Bearer t\r\n"
_PATH = "/api/v1/namespaces/default/configmaps"


@dataclass
class Served:
    registry: Registry
    port: int

    async def open(self, text: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(text.encode())
        await writer.drain()
        return reader, writer


@pytest.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    for limit in ("HEADER_TIMEOUT", "BODY_TIMEOUT", "WRITE_TIMEOUT"):
        monkeypatch.setattr(timeouts, limit, 0.2)
    store = SqliteStore(tmp_path / "db")
    registry = Registry(store)
    registry.create(NAMESPACES, {"metadata": {"name": "default"}})
    authenticator = Authenticator(registry, {"t": User("admin", groups=(MASTERS,))}, b"k", lambda: datetime.now(UTC))
    server = Server(
        registry, authenticator, Authorizer(registry), Kubelet(registry, tmp_path, KubeletSettings(max_pods=1))
    )
    http = server.create_runner()
    await http.setup()
    await web.TCPSite(http, "127.0.0.1", 0).start()
    try:
        yield Served(registry, http.addresses[0][1])
    finally:
        server.close()
        await http.cleanup()
        store.close()


@pytest.mark.parametrize("text", ["GET ", f"GET {_PATH} HTTP/1.1\r\n{_HEAD}", f"GET {_PATH} HTTP/1.1\r\nX: y\r\n"])
async def test_a_head_that_never_ends_is_cut_off(served: Served, text: str) -> None:
    reader, writer = await served.open(text)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_a_body_that_never_comes_is_answered_with_a_timeout(served: Served) -> None:
    reader, writer = await served.open(f"POST {_PATH} HTTP/1.1\r\n{_HEAD}Content-Length: 99\r\n\r\n{{")
    async with asyncio.timeout(5):
        assert b" 408 " in await reader.readline()
    writer.close()


async def test_a_connection_that_is_used_well_stays(served: Served) -> None:
    reader, writer = await served.open("")
    for _ in range(3):
        writer.write(f"GET {_PATH} HTTP/1.1\r\n{_HEAD}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        assert json.loads(await reader.readexactly(length))["items"] == []
        # Longer than a head may take: between requests a client may rest.
        await asyncio.sleep(0.25)
    writer.close()


async def test_slow_headers_are_cut_off_on_a_used_connection_too(served: Served) -> None:
    reader, writer = await served.open(f"GET {_PATH} HTTP/1.1\r\n{_HEAD}\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
    writer.write(b"GET ")
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_a_watcher_that_does_not_read_is_dropped(served: Served) -> None:
    reader, writer = await served.open(f"GET {_PATH}?watch=true HTTP/1.1\r\n{_HEAD}\r\n")
    await reader.readuntil(b"\r\n\r\n")
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    store = served.registry.store
    listeners = len(store._listeners)
    number = 0
    async with asyncio.timeout(20):
        while len(store._listeners) == listeners:
            number += 1
            config = {"metadata": {"name": f"c{number}"}, "data": {"k": "x" * 500_000}}
            served.registry.create(CONFIG_MAPS, config, namespace="default")
            await asyncio.sleep(0.01)
    writer.close()
