"""What a connection may cost, tried with bare sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from controller.api.http.protocol import HEAD_BYTES, Connection
from tests.unit.controller.api.fakes import World, world

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@asynccontextmanager
async def opened(there: World) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    port = int(there.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def rest(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.read()


@pytest.mark.parametrize("begin", [b"", b"GET", HEAD, HEAD + b"X: 1"])
async def test_a_head_that_does_not_come_ends_the_connection(
    tmp_path: Path, begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "head_seconds", 0.05)
    async with world(tmp_path) as there, opened(there) as (reader, writer):
        writer.write(begin)
        assert (await rest(reader)).startswith(b"HTTP/1.1 408 ")


async def test_a_second_head_has_its_time_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "head_seconds", 0.3)
    async with world(tmp_path) as there, opened(there) as (reader, writer):
        writer.write(HEAD + b"\r\n")
        first = await reader.readuntil(b"ok\n")
        assert first.startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET /hea")
        assert (await rest(reader)).startswith(b"HTTP/1.1 408 ")


async def test_a_kept_connection_may_be_silent_between_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "head_seconds", 0.02)
    async with world(tmp_path) as there, opened(there) as (reader, writer):
        for _ in range(2):
            writer.write(HEAD + b"\r\n")
            assert b" 200 " in await reader.readuntil(b"ok\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.1)


async def test_a_head_without_an_end_is_cut_off(tmp_path: Path) -> None:
    async with world(tmp_path) as there, opened(there) as (reader, writer):
        writer.write(HEAD + b"X: " + b"a" * HEAD_BYTES)
        assert (await rest(reader)).startswith(b"HTTP/1.1 431 ")


async def test_one_connection_too_many_is_refused_and_the_next_after_an_end_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as there:
        await there.call("GET", "/healthz", token=None)
        monkeypatch.setattr(Connection, "limit", 3)
        async with AsyncExitStack() as first, AsyncExitStack() as second:
            await first.enter_async_context(opened(there))
            await second.enter_async_context(opened(there))
            async with opened(there) as (reader, _):
                assert (await rest(reader)).startswith(b"HTTP/1.1 503 ")
            await first.aclose()
            async with asyncio.timeout(5):
                while not await answers(there):
                    pass


async def answers(there: World) -> bool:
    async with opened(there) as (reader, writer):
        writer.write(HEAD + b"Connection: close\r\n\r\n")
        return b" 200 " in await rest(reader)
