"""What a connection may cost, tried with bare sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from controller.api.http.protocol import MAX_HEAD_BYTES, BoundedHttpProtocol
from tests.unit.controller.api.fakes import ApiServer, run_api

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@asynccontextmanager
async def connect(api: ApiServer) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    port = int(api.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def read_rest(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(60):
        return await reader.read()


@pytest.mark.parametrize("begin", [b"", b"GET", HEAD, HEAD + b"X: 1"])
async def test_a_head_that_does_not_come_ends_the_connection(
    tmp_path: Path, begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedHttpProtocol, "head_timeout", 0.05)
    async with run_api(tmp_path) as api, connect(api) as (reader, writer):
        writer.write(begin)
        assert (await read_rest(reader)).startswith(b"HTTP/1.1 408 ")


async def test_a_second_head_has_its_time_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_api(tmp_path) as api, connect(api) as (reader, writer):
        writer.write(HEAD + b"\r\n")
        first = await reader.readuntil(b"ok\n")
        assert first.startswith(b"HTTP/1.1 200 ")
        # Only now: on a slow machine, the first head would take longer than that.
        monkeypatch.setattr(BoundedHttpProtocol, "head_timeout", 0.05)
        writer.write(b"GET /hea")
        assert (await read_rest(reader)).startswith(b"HTTP/1.1 408 ")


async def test_kept_alive_connection_may_be_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_api(tmp_path) as api, connect(api) as (reader, writer):
        for _ in range(2):
            writer.write(HEAD + b"\r\n")
            assert b" 200 " in await reader.readuntil(b"ok\n")
            with monkeypatch.context() as short:
                short.setattr(BoundedHttpProtocol, "head_timeout", 0.02)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.1)


async def test_a_head_without_an_end_is_cut_off(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api, connect(api) as (reader, writer):
        writer.write(HEAD + b"X: " + b"a" * MAX_HEAD_BYTES)
        assert (await read_rest(reader)).startswith(b"HTTP/1.1 431 ")


async def test_connections_over_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_api(tmp_path) as api:
        # Once the server has started, which sets the limit; and on a connection that is closed.
        assert await is_answering(api)
        monkeypatch.setattr(BoundedHttpProtocol, "max_connections", 2)
        async with AsyncExitStack() as first, AsyncExitStack() as second:
            await first.enter_async_context(connect(api))
            await second.enter_async_context(connect(api))
            async with connect(api) as (reader, _):
                assert (await read_rest(reader)).startswith(b"HTTP/1.1 503 ")
            await first.aclose()
            async with asyncio.timeout(60):
                while not await is_answering(api):
                    pass


async def is_answering(api: ApiServer) -> bool:
    async with connect(api) as (reader, writer):
        writer.write(HEAD + b"Connection: close\r\n\r\n")
        return b" 200 " in await read_rest(reader)
