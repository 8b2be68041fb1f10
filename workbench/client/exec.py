"""A command in a running step over one WebSocket: input and output bytes, and an exit code at the end."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator

import aiohttp

from workbench.client.errors import ServerError


class ExecSession:
    """A running command, as `Client.execute` opens it. Read `output` to its end; then `exit_code` is set."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, action: str) -> None:
        self._socket, self._action = socket, action
        self.exit_code = 1

    async def send(self, data: bytes) -> None:
        """Write bytes to the command's standard input."""
        await self._socket.send_bytes(data)

    async def close_stdin(self) -> None:
        await self._socket.send_str(json.dumps({"type": "eof"}))

    async def resize(self, size: os.terminal_size) -> None:
        """Change the size of the command's terminal."""
        await self._socket.send_str(json.dumps({"type": "resize", "columns": size.columns, "rows": size.lines}))

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """(1 for stdout or 2 for stderr, bytes) until the command has ended.

        Raises:
            ServerError: the command could not be started, or the connection was lost.
        """
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                yield message.data[0], message.data[1:]
            elif message.type is aiohttp.WSMsgType.TEXT:
                frame = json.loads(message.data)
                if frame.get("type") == "exit":
                    self.exit_code = int(frame["code"])
                    return
                raise ServerError(f"can't {self._action}: {frame.get('detail') or 'the command ended unexpectedly'}")
        raise ServerError(f"can't {self._action}: the connection was lost before the command ended")
