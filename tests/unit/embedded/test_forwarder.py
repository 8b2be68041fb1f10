"""Connections that are handed on to another address."""

from __future__ import annotations

import asyncio

import pytest

from embedded import forwarder
from embedded.forwarder import Forward
from tests.support.waiting import wait_until_async


@pytest.mark.parametrize("text", ["", "a:1", "a:1=b", "a:0=b:1", "a:1=b:65536", ":1=b:1", "a:x=b:1"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|invalid literal"):
        Forward.parse(text)


async def test_both_directions_are_complete_and_end_apart_from_each_other() -> None:
    assert Forward.parse("10.0.0.1:80=127.0.0.1:8080") == Forward("10.0.0.1", 80, "127.0.0.1", 8080)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Only the end of the request starts the answer.
        content = await reader.read()
        writer.write(content[::-1] * 2)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        to_port = server.sockets[0].getsockname()[1]
        async with await asyncio.start_server(lambda *_: None, "127.0.0.2", 0) as other:
            port = other.sockets[0].getsockname()[1]
        task = asyncio.create_task(forwarder.serve(Forward("127.0.0.2", port, "127.0.0.1", to_port)))

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
            try:
                return await asyncio.open_connection("127.0.0.2", port)
            except OSError:
                return None

        reader, writer = await wait_until_async(connect, 60)
        content = bytes(range(256)) * 8192
        writer.write(content)
        writer.write_eof()
        assert await reader.read() == content[::-1] * 2
        writer.close()
        task.cancel()
        await asyncio.wait([task])
