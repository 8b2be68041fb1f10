"""The channels of exec are framed as the subprotocol of the connection says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp import WSMessage, WSMsgType, web

from embedded.apiserver.handlers.exec_channels import ERROR, STDOUT, ExecChannels

_SUCCESS = {"metadata": {}, "status": "Success"}
_FAILURE = {"metadata": {}, "status": "Failure", "message": "command terminated with exit code 9"}


class FakeSocket:
    """Records what is sent, and receives what a test gives it."""

    def __init__(self, protocol: str | None, *received: bytes) -> None:
        self.ws_protocol = protocol
        self.sent: list[bytes | str] = []
        self._received = received

    async def send_bytes(self, data: bytes) -> None:
        self.sent.append(data)

    async def send_str(self, data: str) -> None:
        self.sent.append(data)

    async def __aiter__(self) -> AsyncIterator[Any]:
        for data in self._received:
            yield WSMessage(WSMsgType.TEXT, data, None)
            yield WSMessage(WSMsgType.BINARY, data, None)
        yield WSMessage(WSMsgType.PING, b"\x00ping", None)


def _channels(protocol: str | None, *received: bytes) -> tuple[ExecChannels, FakeSocket]:
    socket = FakeSocket(protocol, *received)
    return ExecChannels(cast("web.WebSocketResponse", socket)), socket


async def _received(protocol: str | None, *received: bytes) -> list[tuple[int, bytes]]:
    channels, _ = _channels(protocol, *received)
    return [message async for message in channels.receive()]


@pytest.mark.parametrize(
    ("protocol", "sent"),
    [
        ("v5.channel.k8s.io", b"\x01hi"),
        ("v4.channel.k8s.io", b"\x01hi"),
        ("channel.k8s.io", b"\x01hi"),
        (None, b"\x01hi"),
        ("v4.base64.channel.k8s.io", "1aGk="),
        ("base64.channel.k8s.io", "1aGk="),
    ],
)
async def test_output_is_framed(protocol: str | None, sent: bytes | str) -> None:
    channels, socket = _channels(protocol)
    await channels.send(STDOUT, b"hi")
    await channels.send(STDOUT, b"")
    assert socket.sent == [sent, sent[:1]]


async def test_before_v4_only_the_message_of_a_failure_is_sent() -> None:
    for protocol in (None, "channel.k8s.io"):
        channels, socket = _channels(protocol)
        await channels.send_status(_SUCCESS)
        await channels.send_status(_FAILURE)
        assert socket.sent == [bytes([ERROR]) + b"command terminated with exit code 9"]


async def test_from_v4_a_status_is_sent() -> None:
    channels, socket = _channels("v5.channel.k8s.io")
    await channels.send_status(_SUCCESS)
    assert socket.sent == [b'\x03{"metadata":{},"status":"Success"}']
    channels, socket = _channels("v4.base64.channel.k8s.io")
    await channels.send_status(_SUCCESS)
    assert str(socket.sent[0]).startswith("3eyJtZXRhZGF0YSI6")


async def test_text_and_binary_messages_are_read_alike() -> None:
    assert await _received("v4.channel.k8s.io", b"\x00hi", b"", b"\x04{}") == [(0, b"hi")] * 2 + [(4, b"{}")] * 2


async def test_base64_is_decoded_and_malformed_messages_are_skipped() -> None:
    messages = (b"0aGk=", b"4e30=", b"0a", b"0\xff", b"")
    assert await _received("base64.channel.k8s.io", *messages) == [(0, b"hi")] * 2 + [(4, b"{}")] * 2


async def test_only_v5_closes_channels() -> None:
    close = b"\xff\x00"
    assert await _received("v5.channel.k8s.io", close) == [(255, b"\x00")] * 2
    assert await _received("v4.channel.k8s.io", close) == []
