"""exec and attach over a WebSocket, the protocol of kubectl 1.31 and later and of the client libraries.

The first byte of each message is its channel: stdin 0, stdout 1, stderr 2, the result 3 (a Status), the terminal's
size 4, and with v5 also 255, which closes the channel in its second byte. What the server sends are binary messages;
clients may send text ones as well, as the Python client does for a `str`. SPDY, the protocol of older
clients, and port forwarding are not supported.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

from aiohttp import WSMsgType, web

from embedded.api.interfaces import ExecError, ExecOptions, ExecSession, KubeletApi, LogOptions
from embedded.api.status_errors import bad_request
from embedded.apiserver import query_options
from embedded.storage.sqlite import encode_json

Json = dict[str, Any]
SUBRESOURCES = ("exec", "attach")

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_UPGRADE_REQUIRED = (
    "Upgrade request required: exec and attach need a WebSocket with the subprotocol v5.channel.k8s.io or "
    "v4.channel.k8s.io; there is no SPDY. kubectl 1.31 and later use it by default; for 1.29 and 1.30 set "
    "KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true"
)


async def handle_stream(
    request: web.BaseRequest, namespace: str, pod: str, subresource: str, runner: KubeletApi, closing: asyncio.Event
) -> web.StreamResponse:
    """Run a command in a container, or attach to its output.

    Raises:
        ApiError: 400, 404 or 500, before the connection becomes a WebSocket.
    """
    query = request.query
    container = runner.exec_target(namespace, pod, query.get("container", ""))
    streams = {name: query_options.parse_bool(query, name) for name in ("stdin", "stdout", "stderr", "tty")}
    options = ExecOptions(tuple(query.getall("command", [])), container, **streams)
    if not (options.stdin or options.stdout or options.stderr):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    if subresource == "exec" and not (options.command and options.command[0]):
        raise bad_request("you must specify a command to execute: command: Required value")
    socket = _upgrade(request)
    await socket.prepare(request)
    if options.stdout or options.stderr:
        # Clients wait for a first message to know that they are connected.
        await socket.send_bytes(bytes([_STDOUT if options.stdout else _STDERR]))
    stream = _run_exec(socket, runner, namespace, pod, options) if subresource == "exec" else None
    with suppress(ConnectionError):
        status = await _run_until_closing(closing, stream or _run_attach(socket, runner, namespace, pod, container))
        if status is not None:
            await socket.send_bytes(bytes([_ERROR]) + encode_json(status))
        await socket.close()
    return socket


def _upgrade(request: web.BaseRequest) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=_PROTOCOLS, decode_text=False)
    try:
        ready = socket.can_prepare(request)
    except web.HTTPException:
        ready = web.WebSocketReady(False, None)
    if not ready.ok or ready.protocol is None:
        raise bad_request(_UPGRADE_REQUIRED)
    return socket


async def _run_until_closing(closing: asyncio.Event, stream: Awaitable[Json | None]) -> Json | None:
    """The result of a stream; None when the server stops before that."""
    acting = asyncio.ensure_future(stream)
    stopping = asyncio.ensure_future(closing.wait())
    try:
        await asyncio.wait((acting, stopping), return_when=asyncio.FIRST_COMPLETED)
        return acting.result() if acting.done() else None
    finally:
        for task in (acting, stopping):
            task.cancel()
        await asyncio.wait((acting, stopping))


async def _run_exec(
    socket: web.WebSocketResponse, runner: KubeletApi, namespace: str, pod: str, options: ExecOptions
) -> Json | None:
    """The Status of the command; None when the client has disconnected."""
    try:
        session = runner.exec(namespace, pod, options)
    except ExecError as error:
        return _failure_status("InternalError", f"error executing command in container: {error}") | {"code": 500}

    async def send(channel: int, data: bytes) -> None:
        # When the client disconnects, the task that reads its messages ends this one.
        with suppress(ConnectionError):
            await socket.send_bytes(bytes([channel]) + data)

    running = asyncio.ensure_future(session.run(send))
    reading = asyncio.ensure_future(_forward_input(socket, session, stdin=options.stdin))
    try:
        await asyncio.wait((running, reading), return_when=asyncio.FIRST_COMPLETED)
        return _exit_status(running.result(), options.command) if running.done() else None
    finally:
        for task in (running, reading):
            task.cancel()
        # Wait for the end of the command: it must not outlive the connection.
        await asyncio.wait((running, reading))


async def _run_attach(
    socket: web.WebSocketResponse, runner: KubeletApi, namespace: str, pod: str, container: str
) -> Json | None:
    """Send what a container writes from now on. Containers have no stdin here, so the client's input is discarded."""
    options = LogOptions(container, follow=True, tail_lines=0)

    async def show() -> None:
        async with aclosing(runner.read_log(namespace, pod, options)) as chunks:
            async for chunk in chunks:
                await socket.send_bytes(bytes([_STDOUT]) + chunk)

    showing = asyncio.ensure_future(show())
    reading = asyncio.ensure_future(_discard_messages(socket))
    try:
        await asyncio.wait((showing, reading), return_when=asyncio.FIRST_COMPLETED)
        if not showing.done():
            return None
        showing.result()
        return _SUCCESS
    finally:
        for task in (showing, reading):
            task.cancel()
        await asyncio.wait((showing, reading))


async def _iter_messages(socket: web.WebSocketResponse) -> AsyncIterator[tuple[int, bytes]]:
    """(channel, content) until the client disconnects."""
    async for message in socket:
        if message.type in (WSMsgType.BINARY, WSMsgType.TEXT) and message.data:
            yield message.data[0], message.data[1:]


async def _discard_messages(socket: web.WebSocketResponse) -> None:
    async for _ in _iter_messages(socket):
        pass


async def _forward_input(socket: web.WebSocketResponse, session: ExecSession, *, stdin: bool) -> None:
    handlers: dict[int, Callable[[bytes], None]] = {_RESIZE: lambda data: _resize(session, data)}
    async for channel, data in _iter_messages(socket):
        if channel == _STDIN and stdin:
            await session.write(data)
        elif channel == _CLOSE and data == bytes([_STDIN]):
            session.close_input()
        elif channel in handlers:
            handlers[channel](data)


def _resize(session: ExecSession, data: bytes) -> None:
    """Resize the terminal by `{"Width": columns, "Height": rows}`; anything else is ignored."""
    with suppress(ValueError, TypeError, KeyError, RecursionError, OverflowError):
        size = json.loads(data)
        session.resize(int(size["Width"]), int(size["Height"]))


_SUCCESS: Json = {"metadata": {}, "status": "Success"}


def _failure_status(reason: str, message: str) -> Json:
    return {"metadata": {}, "status": "Failure", "message": message, "reason": reason}


def _exit_status(code: int, command: tuple[str, ...]) -> Json:
    """A Status with the exit code of a command, in the form that clients expect."""
    if code == 0:
        return _SUCCESS
    failure = _failure_status("NonZeroExitCode", f"command terminated with exit code {code}")
    return failure | {"details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}
