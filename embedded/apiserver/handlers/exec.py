"""exec and attach over a WebSocket, the protocol of kubectl 1.31 and later and of the client libraries.

How messages are framed is in `exec_channels`. SPDY, the protocol of older clients, and port forwarding are not
supported.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from aiohttp import web

from embedded.api.interfaces import ExecError, ExecOptions, ExecSession, KubeletApi, LogOptions
from embedded.api.status_errors import bad_request
from embedded.apiserver import query_options
from embedded.apiserver.handlers.exec_channels import (
    CLOSE,
    ERROR,
    PROTOCOLS,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    ExecChannels,
)

Json = dict[str, Any]
T = TypeVar("T")
SUBRESOURCES = ("exec", "attach")

_UPGRADE_REQUIRED = (
    f"Upgrade request required: exec and attach need a WebSocket, with one of the subprotocols {', '.join(PROTOCOLS)} "
    "or none; there is no SPDY. kubectl 1.31 and later use it by default; for 1.29 and 1.30 set "
    "KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true"
)


async def handle_stream(
    request: web.BaseRequest, namespace: str, pod: str, subresource: str, runner: KubeletApi, closing: asyncio.Event
) -> web.StreamResponse:
    """Run a command in a container, or attach to its output.

    Raises:
        ApiError: 400, 404 or 500, before the connection becomes a WebSocket.

    Returns:
        The closed WebSocket, or 406 for an Accept header that a kubelet refuses.
    """
    query = request.query
    container = runner.exec_target(namespace, pod, query.get("container", ""))
    socket = _upgrade(request)
    if not _accepts_anything(request.headers.get("Accept", "")):
        return web.Response(status=406, text="406: Not Acceptable\n\nAvailable representations: ")
    streams = {name: query_options.parse_bool(query, name) for name in ("stdin", "stdout", "stderr", "tty")}
    options = ExecOptions(tuple(query.getall("command", [])), container, **streams)
    if not (options.stdin or options.stdout or options.stderr):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    if subresource == "exec" and not (options.command and options.command[0]):
        raise bad_request("you must specify a command to execute: command: Required value")
    await socket.prepare(request)
    channels = ExecChannels(socket)
    with suppress(ConnectionError):
        # Clients wait for a first message to know that they are connected.
        await channels.send(STDOUT if options.stdout else STDERR if options.stderr else ERROR, b"")
        if subresource == "exec":
            stream = _run_exec(channels, runner, namespace, pod, options)
        else:
            stream = _run_attach(channels, runner, namespace, pod, container)
        status = await _run_until_closing(closing, stream)
        if status is not None:
            await channels.send_status(status)
        await socket.close()
    return socket


def _accepts_anything(accept: str) -> bool:
    """Whether a header allows `*/*`: the routes of a kubelet declare no media type, so no other one matches them."""
    return not accept.strip() or any(choice.partition(";")[0].strip() == "*/*" for choice in accept.split(","))


def _upgrade(request: web.BaseRequest) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=PROTOCOLS, decode_text=False)
    try:
        ready = socket.can_prepare(request)
    except web.HTTPException:
        ready = web.WebSocketReady(False, None)
    if not ready.ok or (ready.protocol is None and "Sec-WebSocket-Protocol" in request.headers):
        raise bad_request(_UPGRADE_REQUIRED)
    return socket


async def _run_until_closing(closing: asyncio.Event, stream: Awaitable[Json | None]) -> Json | None:
    """The result of a stream; None when the server stops before that."""
    return await _result_before(stream, closing.wait())


async def _result_before(stream: Awaitable[T], end: Awaitable[object]) -> T | None:
    """The result of a stream; None when `end` comes before that. Both have ended when this returns."""
    acting, ending = asyncio.ensure_future(stream), asyncio.ensure_future(end)
    try:
        await asyncio.wait((acting, ending), return_when=asyncio.FIRST_COMPLETED)
        return acting.result() if acting.done() else None
    finally:
        for task in (acting, ending):
            task.cancel()
        await asyncio.wait((acting, ending))


async def _run_exec(
    channels: ExecChannels, runner: KubeletApi, namespace: str, pod: str, options: ExecOptions
) -> Json | None:
    """The Status of the command; None when the client has disconnected."""
    try:
        session = await runner.exec(namespace, pod, options)
    except ExecError as error:
        return _failure_status("InternalError", f"error executing command in container: {error}") | {"code": 500}

    async def send(channel: int, data: bytes) -> None:
        # When the client disconnects, the task that reads its messages ends this one.
        with suppress(ConnectionError):
            await channels.send(channel, data)

    # The command must not outlive the connection, whose end ends the reading of input.
    code = await _result_before(session.run(send), _forward_input(channels, session, stdin=options.stdin))
    return _exit_status(code) if code is not None else None


async def _run_attach(
    channels: ExecChannels, runner: KubeletApi, namespace: str, pod: str, container: str
) -> Json | None:
    """Send what a container writes from now on. Containers have no stdin here, so the client's input is discarded."""
    options = LogOptions(container, follow=True, tail_lines=0)

    async def show() -> None:
        async with aclosing(runner.read_log(namespace, pod, options)) as chunks:
            async for chunk in chunks:
                await channels.send(STDOUT, chunk)

    showing = asyncio.ensure_future(show())
    reading = asyncio.ensure_future(_discard_messages(channels))
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


async def _discard_messages(channels: ExecChannels) -> None:
    async for _ in channels.receive():
        pass


async def _forward_input(channels: ExecChannels, session: ExecSession, *, stdin: bool) -> None:
    handlers: dict[int, Callable[[bytes], None]] = {RESIZE: lambda data: _resize(session, data)}
    async for channel, data in channels.receive():
        if channel == STDIN and stdin:
            await session.write(data)
        elif channel == CLOSE and data == bytes([STDIN]):
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


def _exit_status(code: int) -> Json:
    """A Status with the exit code of a command, in the form that clients expect."""
    if code == 0:
        return _SUCCESS
    failure = _failure_status("NonZeroExitCode", f"command terminated with exit code {code}")
    return failure | {"details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}
