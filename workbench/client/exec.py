"""A command in a running step, over one WebSocket: bytes in, bytes out, an exit code at the end."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator

import aiohttp

from workbench.client.errors import ServerError


class ExecSession:
    """What `Client.execute` opens. `output` is read to its end; then there is an exit code."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, what: str) -> None:
        self._socket, self._what = socket, what
        self.exit_code = 1

    async def send(self, data: bytes) -> None:
        """Bytes for the command's standard input."""
        await self._socket.send_bytes(data)

    async def close_stdin(self) -> None:
        await self._socket.send_str(json.dumps({"type": "eof"}))

    async def resize(self, size: os.terminal_size) -> None:
        """Tell a command with a terminal how large that is."""
        await self._socket.send_str(json.dumps({"type": "resize", "columns": size.columns, "rows": size.lines}))

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """(1 for stdout or 2 for stderr, bytes) until the command has ended.

        Raises:
            ServerError: it could not be run, or the connection broke before it ended.
        """
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                yield message.data[0], message.data[1:]
            elif message.type is aiohttp.WSMsgType.TEXT:
                told = json.loads(message.data)
                if told.get("type") == "exit":
                    self.exit_code = int(told["code"])
                    return
                raise ServerError(f"can't {self._what}: {told.get('detail') or 'it ended without a reason'}")
        raise ServerError(f"can't {self._what}: the connection broke before the command ended")
