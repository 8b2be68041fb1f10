"""Connections to ports of pods whose network this machine is not connected with.

The container that holds the network has a program that connects to them. It is started with the engine's call for
commands in containers, and its stdin and stdout are the connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from embedded.kubelet.runtime.dial import LINE_LIMIT, Connection, dial_error
from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.streams import FrameDecoder, RawStream
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError
from embedded.kubelet.runtime.engine.pause.program import CONNECTED, PROGRAM, connect_argument

Json = dict[str, Any]

_LIFETIME = 3600
"""Seconds after which the program ends in any case; it ends before, when the connection is closed."""
_READ = 64 * 1024
_STDOUT = 1
_POLL, _POLLS = 0.02, 500
"""The exit code may be known a moment after the end of the output."""
_ERRORS = {
    97: "address family not supported by protocol",
    101: "network is unreachable",
    110: "connection timed out",
    111: "connection refused",
    113: "no route to host",
}
"""By their numbers on Linux, where the program runs."""


@asynccontextmanager
async def tunnel(client: EngineClient, container: str, address: str, port: int) -> AsyncIterator[Connection]:
    """A connection to a port of a pod; closed at the end.

    Args:
        container: the identifier of the one that holds the pod's network.
        address: the pod's.

    Raises:
        OSError: there is none; the message is a kubelet's.
        OverflowError: there is no such port.
    """
    argument = connect_argument(address, port, _LIFETIME)
    try:
        identifier, stream = await _start(client, container, argument)
    except (EngineError, EngineUnreachableError) as error:
        raise dial_error(address, port, str(error)) from error
    output = _Output(stream)
    try:
        if not (first := await output.read()):
            raise dial_error(address, port, await _failure(client, identifier))
        ours, theirs = socket.socketpair()
        near, far = (
            await asyncio.open_connection(sock=ours, limit=LINE_LIMIT),
            await asyncio.open_connection(sock=theirs),
        )
        copying = asyncio.create_task(_copy(far, stream, output, first.removeprefix(CONNECTED)))
        try:
            yield near
        finally:
            copying.cancel()
            for _, writer in (near, far):
                writer.close()
            with suppress(asyncio.CancelledError):
                await copying
    finally:
        stream.close()


async def _start(client: EngineClient, container: str, argument: str) -> tuple[str, RawStream]:
    wanted = {"Cmd": [PROGRAM, argument], "AttachStdin": True, "AttachStdout": True, "Tty": False}
    identifier = str((await client.post(f"/containers/{container}/exec", wanted))["Id"])
    return identifier, await client.stream(f"/exec/{identifier}/start", {"Detach": False, "Tty": False})


class _Output:
    """What the program writes to stdout."""

    def __init__(self, stream: RawStream) -> None:
        self._stream = stream
        self._decoder = FrameDecoder()

    async def read(self) -> bytes:
        """Some bytes; empty at the end."""
        while data := await self._stream.read():
            found = b"".join(content for number, content in self._decoder.feed(data) if number == _STDOUT)
            if found:
                return found
        return b""


async def _copy(connection: Connection, stream: RawStream, output: _Output, early: bytes) -> None:
    """Copy in both directions until the other side has ended its own, or this is cancelled."""
    reader, writer = connection

    async def send() -> None:
        while data := await reader.read(_READ):
            await stream.write(data)

    async with asyncio.TaskGroup() as group:
        sending = group.create_task(send())
        try:
            # Until nobody reads it any more.
            with suppress(ConnectionError):
                data = early or await output.read()
                while data:
                    writer.write(data)
                    await writer.drain()
                    data = await output.read()
        finally:
            sending.cancel()
            writer.close()


async def _failure(client: EngineClient, identifier: str) -> str:
    """Why the program has ended without a connection."""
    with suppress(EngineError, EngineUnreachableError):
        for _ in range(_POLLS):
            found = await client.get(f"/exec/{identifier}/json")
            if not found.get("Running") and found.get("ExitCode") is not None:
                return _ERRORS.get(int(found["ExitCode"]), f"error {found['ExitCode']}")
            await asyncio.sleep(_POLL)
    return "unknown error"
