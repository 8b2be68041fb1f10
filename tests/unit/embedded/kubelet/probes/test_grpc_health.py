"""The health check of gRPC, against what servers answer byte for byte."""

from __future__ import annotations

import asyncio

import pytest

from embedded.kubelet.probes.grpc_health import check_health

_SETTINGS = bytes.fromhex("000000040000000000")
_HEADERS = bytes.fromhex("00000101040000000188")
"""`:status 200`."""
_TRAILERS = bytes.fromhex("00000101050000000188")
"""The same bytes as the end of the stream: the content of headers is not read."""
_SERVING = bytes.fromhex("00000700000000000100000000020801")


class Peer(asyncio.Protocol):
    """A server that answers the request with some bytes, and keeps what it gets."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.received = answer, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.received:
            self.transport.write(self.answer)
        self.received += data
        if b"the end" in self.answer:
            self.transport.close()


async def ask(answer: bytes, service: str = "") -> tuple[str, bytes]:
    """(Why it is not healthy, what the server got)."""
    peer = Peer(answer)
    server = await asyncio.get_running_loop().create_server(lambda: peer, "127.0.0.1", 0)
    async with server, asyncio.timeout(60):
        connection = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            return await check_health(connection, "10.0.0.1:50051", service), peer.received
        finally:
            connection[1].close()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("0801", ""),
        ("0802", 'service unhealthy (responded with "NOT_SERVING")'),
        ("0803", 'service unhealthy (responded with "SERVICE_UNKNOWN")'),
        ("", 'service unhealthy (responded with "UNKNOWN")'),
        ("0809", 'service unhealthy (responded with "9")'),
    ],
)
async def test_the_status_decides(status: str, words: str) -> None:
    content = b"\0" + (len(status) // 2).to_bytes(4, "big") + bytes.fromhex(status)
    data = len(content).to_bytes(3, "big") + bytes.fromhex("000000000001") + content
    assert (await ask(_SETTINGS + _HEADERS + data + _TRAILERS))[0] == words


async def test_the_request_names_the_service() -> None:
    why, received = await ask(_SETTINGS + _HEADERS + _SERVING + _TRAILERS, "s" * 200)
    assert why == ""
    assert received.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS)
    assert b"\0\x05:path\x1c/grpc.health.v1.Health/Check" in received
    assert b"\0\x0a:authority\x0e10.0.0.1:50051" in received
    assert received.endswith(b"\0\0\0\0\xcb\x0a\xc8\x01" + b"s" * 200)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_SETTINGS + _TRAILERS, "may not implement the grpc health protocol"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\nthe end", "does not speak HTTP/2"),
        (_SETTINGS + b"the end", "the server closed the connection"),
        (_SETTINGS + bytes.fromhex("00000403000000000100000008"), "the server refuses: HTTP/2 error 8"),
        (bytes.fromhex("0000080700000000000000000000000001"), "the server gives up: HTTP/2 error 1"),
        (_SETTINGS + bytes.fromhex("000001080800000001ff") + _TRAILERS, "may not implement"),
    ],
    ids=["no-message", "http-1", "closed", "reset", "goaway", "other-frames"],
)
async def test_anything_else_is_a_failure_that_says_what(answer: bytes, words: str) -> None:
    assert words in (await ask(answer))[0]
