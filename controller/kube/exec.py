"""Runs a command in a container: Kubernetes' `pods/exec` over a WebSocket, as kubelets have spoken it since 1.29.

Each binary message begins with the number of its channel. `v5.channel.k8s.io` can also close one of them, which is how
a command's stdin is closed; with servers that only support `v4.channel.k8s.io` that is not possible. The meaning of the
output, and authorization, are left to the caller.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from controller.kube.errors import UnreachableError
from controller.kube.resources import PODS

if TYPE_CHECKING:
    from controller.kube.client import KubeClient

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
HEARTBEAT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ExecOutput:
    """Bytes of the command; `channel` is STDOUT or STDERR. A terminal has only the first."""

    channel: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How it ended: the exit code, or None and the reason when the command could not be run."""

    code: int | None
    message: str = ""


class ExecStream:
    """A command that runs. Writing waits for the server, so that a flood of input fills no memory here."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, what: str) -> None:
        self._socket = socket
        self._what = what

    @property
    def can_close_stdin(self) -> bool:
        """Whether the server supports closing stdin."""
        return self._socket.protocol == V5

    async def write(self, data: bytes) -> None:
        """Sends bytes to stdin. Raises UnreachableError."""
        await self._send(STDIN, data)

    async def resize(self, columns: int, rows: int) -> None:
        """The terminal's size."""
        await self._send(RESIZE, json.dumps({"Width": columns, "Height": rows}).encode())

    async def close_stdin(self) -> None:
        """Closes stdin, if the server supports that."""
        if self.can_close_stdin:
            await self._send(CLOSE, bytes([STDIN]))

    async def output(self) -> AsyncGenerator[ExecOutput | ExitStatus, None]:
        """Its output, then one ExitStatus. Raises UnreachableError when the connection ends before that."""
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == ERROR:
                yield parse_exit_status(data)
                return
            # An empty message only confirms the connection.
            if channel in (STDOUT, STDERR) and data:
                yield ExecOutput(channel, data)
        cause = self._socket.exception()
        raise UnreachableError(f"{self._what}: the connection ended before the command{f': {cause}' if cause else ''}")

    async def _send(self, channel: int, data: bytes) -> None:
        try:
            await self._socket.send_bytes(bytes([channel]) + data)
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(f"{self._what}: the connection was interrupted: {error}") from error


@asynccontextmanager
async def execute(
    client: KubeClient,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    stdin: bool = True,
    tty: bool = False,
) -> AsyncIterator[ExecStream]:
    """Starts a command.

    Raises:
        NotFoundError, ForbiddenError: there is no such pod, or no right to run commands in it.
        ApiError: with status 400 where the container is not running.
        UnreachableError: the API did not respond.
    """
    path = PODS.path(namespace, pod, "exec")
    flags = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
    query = [("container", container), *((name, str(value).lower()) for name, value in flags.items())]
    query += [("command", word) for word in command]
    async with client.websocket(path, query, protocols=(V5, V4), heartbeat=HEARTBEAT_SECONDS) as socket:
        yield ExecStream(socket, f"exec in {namespace}/{pod}")


def parse_exit_status(data: bytes) -> ExitStatus:
    """The Status that ends a command: Success, NonZeroExitCode with its code, or why it could not be run."""
    try:
        status = json.loads(data)
    except ValueError:
        status = None
    if not isinstance(status, Mapping):
        return ExitStatus(None, "the server's exit status is not readable")
    if status.get("status") == "Success":
        return ExitStatus(0)
    message = str(status.get("message") or "the command could not be run")
    if status.get("reason") == "NonZeroExitCode":
        return ExitStatus(_exit_code(status), message)
    return ExitStatus(None, message)


def _exit_code(status: Mapping[str, Any]) -> int | None:
    for cause in (status.get("details") or {}).get("causes") or ():
        text = str(cause.get("message", ""))
        if cause.get("reason") == "ExitCode" and text.isascii() and text.isdigit():
            return int(text[:5])
    return None
