"""The channels of exec and attach in one WebSocket, in each subprotocol that the container runtimes of nodes speak.

The first byte of a message is its channel. In the base64 subprotocols, messages are text: a digit for the channel,
then the content in base64. In all others, what the server sends is binary, and clients may send text as well, as the
Python client does for a `str`. Source: `pkg/cri/streaming/remotecommand/websocket.go` of kubelet and `wsstream` of
apiserver.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

from aiohttp import WSMsgType, web

from embedded.api.base64_codec import Base64Error, decode_base64
from embedded.storage.sqlite import encode_json
from embedded.types import JsonObject

STDIN, STDOUT, STDERR, ERROR, RESIZE = 0, 1, 2, 3, 4
CLOSE = 255
"""With v5 only: closes the channel that the second byte names."""
PROTOCOLS = (
    *("v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io"),
    *("channel.k8s.io", "base64.channel.k8s.io"),
)
"""In the order of preference. Without any, a connection is as with `channel.k8s.io`."""
_FIRST_DIGIT = ord("0")


class ExecChannels:
    """The messages of a prepared socket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        protocol = socket.ws_protocol or ""
        self._socket = socket
        self._is_base64 = "base64" in protocol
        self._has_status = protocol.startswith(("v4.", "v5."))
        self._has_close = protocol.startswith("v5.")

    async def send(self, channel: int, data: bytes) -> None:
        """Send a message.

        Raises:
            ConnectionError: the client has disconnected.
        """
        if self._is_base64:
            await self._socket.send_str(chr(_FIRST_DIGIT + channel) + base64.b64encode(data).decode("ascii"))
        else:
            await self._socket.send_bytes(bytes([channel]) + data)

    async def send_status(self, status: JsonObject) -> None:
        """Send the result: a Status, or before v4 the message of a failure and nothing for a success."""
        if self._has_status:
            await self.send(ERROR, encode_json(status))
        elif status["status"] != "Success":
            await self.send(ERROR, str(status["message"]).encode())

    async def receive(self) -> AsyncIterator[tuple[int, bytes]]:
        """(channel, content) of each message until the client disconnects; malformed messages are skipped."""
        async for message in self._socket:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT) or not message.data:
                continue
            channel, content = message.data[0], message.data[1:]
            if self._is_base64:
                try:
                    yield channel - _FIRST_DIGIT, decode_base64(content.decode("ascii"))
                except (Base64Error, UnicodeDecodeError):
                    continue
            elif channel != CLOSE or self._has_close:
                yield channel, content
