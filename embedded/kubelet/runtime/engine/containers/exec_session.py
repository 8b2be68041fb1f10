"""A command that a user runs inside a running container of an engine: `kubectl exec`.

It ends with the container at the latest. If the client goes away it keeps running, as on a node.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

from embedded.api.interfaces import ExecOptions
from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.streams import FrameDecoder, RawStream
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError
from embedded.kubelet.runtime.interface import StartError

Json = dict[str, Any]
Send = Callable[[int, bytes], Awaitable[None]]

_STDOUT = 1
_NOT_FOUND = 127
_NOT_STARTED = re.compile(r"(Error: \w+: |OCI runtime )?exec failed: ")
_START_POLL = 0.01
_POLL, _POLLS = 0.02, 500
"""The exit code may be known a moment after the end of the output."""


class EngineExecSession:
    """One command with its streams; see `embedded.api.interfaces.ExecSession`."""

    def __init__(self, client: EngineClient, identifier: str, stream: RawStream, *, terminal: bool) -> None:
        self._client = client
        self._identifier = identifier
        self._stream = stream
        self._terminal = terminal
        self._early: list[tuple[int, bytes]] = []
        """Output that was read before `run`."""
        self._size: tuple[int, int] | None = None
        """Of the terminal, if the engine does not know it yet."""
        self._size_changed = asyncio.Event()
        self._sizing = asyncio.Lock()

    @classmethod
    async def start(cls, client: EngineClient, container: str, options: ExecOptions) -> Self:
        """Start a command.

        Raises:
            StartError: the engine says that it has not started.
            EngineError, EngineUnreachableError: the engine refuses.
        """
        wanted: Json = {
            "Cmd": list(options.command),
            "AttachStdin": options.stdin,
            "AttachStdout": options.stdout,
            "AttachStderr": options.stderr,
            "Tty": options.tty,
        }
        if options.tty:
            wanted["Env"] = ["TERM=xterm"]
        identifier = str((await client.post(f"/containers/{container}/exec", wanted))["Id"])
        stream = await client.stream(f"/exec/{identifier}/start", {"Detach": False, "Tty": options.tty})
        session = cls(client, identifier, stream, terminal=options.tty)
        try:
            await session._wait_for_start()
        except BaseException:
            stream.close()
            raise
        return session

    async def _wait_for_start(self) -> None:
        """Engines accept the stream first; what keeps a command from starting is then all that is in it."""
        for _ in range(_POLLS):
            found = await self._client.get(f"/exec/{self._identifier}/json")
            if found.get("Pid"):
                return
            if not found.get("Running") and found.get("ExitCode") is not None:
                await self._check_start()
                return
            await asyncio.sleep(_START_POLL)
        raise StartError("the engine does not start the command")

    async def _check_start(self) -> None:
        """Tell a command that has ended already from one that was not started."""

        async def keep(number: int, data: bytes) -> None:
            self._early.append((number, data))

        await self._forward_output(keep)
        text = b"".join(data for _, data in self._early).decode(errors="replace").strip()
        if _NOT_STARTED.match(text):
            raise StartError(text, _NOT_FOUND)

    async def run(self, send: Send) -> int:
        """Forward its output until it has ended; returns its exit code.

        Raises:
            StartError: the engine does not tell its exit code.
        """
        try:
            for number, data in self._early:
                await send(number, data)
            async with asyncio.TaskGroup() as group:
                resizing = group.create_task(self._resize_terminal())
                await self._forward_output(send)
                code = await self._exit_code()
                resizing.cancel()
            return code
        finally:
            self._stream.close()

    async def _forward_output(self, send: Send) -> None:
        decoder = FrameDecoder()
        while data := await self._stream.read():
            if self._terminal:
                await send(_STDOUT, data)
                continue
            for number, content in decoder.feed(data):
                await send(number, content)

    async def _exit_code(self) -> int:
        for _ in range(_POLLS):
            found = await self._client.get(f"/exec/{self._identifier}/json")
            if not found.get("Running") and found.get("ExitCode") is not None:
                return int(found["ExitCode"])
            await asyncio.sleep(_POLL)
        raise StartError("the engine does not tell the exit code of the command")

    async def _resize_terminal(self) -> None:
        while True:
            await self._size_changed.wait()
            self._size_changed.clear()
            await self._send_size()

    async def _send_size(self) -> None:
        async with self._sizing:
            size, self._size = self._size, None
            if size is not None:
                with suppress(EngineError, EngineUnreachableError):
                    # It may have ended.
                    await self._client.post(f"/exec/{self._identifier}/resize", h=str(size[1]), w=str(size[0]))

    async def write(self, data: bytes) -> None:
        """Write to its stdin; nothing if nothing reads it any more. A size that was set before counts before."""
        await self._send_size()
        await self._stream.write(data)

    def close_input(self) -> None:
        """Close its stdin; on a terminal, send Ctrl-D."""
        if self._terminal:
            self._stream.send(b"\x04")
        else:
            self._stream.close_input()

    def resize(self, columns: int, rows: int) -> None:
        """Set the size of the terminal, in characters."""
        if self._terminal and 0 < columns < 1 << 16 and 0 < rows < 1 << 16:
            self._size = (columns, rows)
            self._size_changed.set()
