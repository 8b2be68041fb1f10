"""The actions of probes, with a container whose ports are on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from embedded.apiserver.listener import load_tls_context
from embedded.kubelet.probes.handlers import run_action
from embedded.kubelet.runtime.dial import dial
from workbench.sandbox.certificates import ensure_certificate

Json = dict[str, Any]


def container(address: str = "127.0.0.1") -> Any:
    running = SimpleNamespace(address=address, connect=lambda port: dial(address, port))
    return SimpleNamespace(running=running, spec={"name": "main"})


@asynccontextmanager
async def serving(answer: bytes, folder: Path | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """(Port, what was asked) of a server; with a folder for its certificate, by TLS."""
    asked: list[bytes] = []
    pages: list[asyncio.Task[None]] = []

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pages.append(asyncio.create_task(page(reader, writer)))

    tls = load_tls_context(*ensure_certificate(folder, datetime.now(UTC))) if folder is not None else None
    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1], asked
        await asyncio.wait_for(asyncio.gather(*pages), 60)


@pytest.mark.parametrize("scheme", ["HTTP", "HTTPS"])
@pytest.mark.parametrize("host", ["", "127.0.0.1"])
async def test_a_page_is_asked_for_without_verifying_the_certificate(tmp_path: Path, scheme: str, host: str) -> None:
    async with serving(b"HTTP/1.1 204 None\r\n\r\n", tmp_path if scheme == "HTTPS" else None) as (port, asked):
        get = {"port": port, "path": "/x", "scheme": scheme, **({"host": host} if host else {})}
        assert await run_action({"httpGet": get}, container(), 10) == ""
    assert asked[0].startswith(f"GET /x HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())


async def test_a_host_is_reached_from_this_machine() -> None:
    async with serving(b"HTTP/1.1 500 No\r\n\r\n") as (port, _):
        get = {"port": port, "host": "127.0.0.1"}
        failed = await run_action({"httpGet": get}, container("192.0.2.1"), 10)
        assert failed == "HTTP probe failed with statuscode: 500"
        assert await run_action({"tcpSocket": get}, container("192.0.2.1"), 10) == ""


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ({"tcpSocket": {"port": 1}}, "dial tcp 127.0.0.1:1: connect: connection refused"),
        (
            {"httpGet": {"port": 1, "path": "/y"}},
            'Get "http://127.0.0.1:1/y": dial tcp 127.0.0.1:1: connect: connection',
        ),
        ({"httpGet": {"port": 1, "scheme": "HTTPS"}}, 'Get "https://127.0.0.1:1/": dial tcp'),
        ({"grpc": {"port": 1}}, "error: health rpc failed: dial tcp 127.0.0.1:1: connect: connection refused"),
        ({"tcpSocket": {"port": 1, "host": "a name"}}, "dial tcp: lookup a name: "),
        ({"later": {"port": 1}}, "the spec is invalid: KeyError"),
    ],
)
async def test_why_nothing_answers_is_said_as_by_a_kubelet(action: Json, words: str) -> None:
    assert (await run_action(action, container(), 10)).startswith(words)
