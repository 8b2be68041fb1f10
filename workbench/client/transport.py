"""HTTP to one controller: headers, tokens, timeouts, retries, and errors in our words.

The only module that knows the HTTP library. It knows no call of the API.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from workbench.client.errors import (
    ClientError,
    ConnectionLostError,
    ServerError,
    UnauthorizedError,
    error_for,
    unreachable_error,
)

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=90)
"""For transfers and event streams: any length, but not silent for ever (the controller sends bookmarks)."""
_RETRY_DELAYS = (0.1, 0.5, 1.5)
_UNAVAILABLE_STATUSES = (502, 503, 504)
_HEARTBEAT = 20.0
_MAX_FRAME = 32 * 1024 * 1024

Params = Sequence[tuple[str, str]]
Body = Callable[[], AsyncIterator[bytes]]
"""Makes the body anew for each try."""


class Transport:
    """One session. Every call takes `what`, the words for it in errors ("list runs")."""

    def __init__(
        self, url: str, token_file: Path, sandbox: str | None, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self.server = url.rstrip("/")
        self._token_file = token_file
        self._sandbox = sandbox
        self._sleep = sleep
        # The operating system's proxy settings are for remote servers; aiohttp honours no_proxy.
        self._session = aiohttp.ClientSession(trust_env=sandbox is None)

    async def close(self) -> None:
        await self._session.close()

    def token(self, what: str) -> str:
        """Read anew for each call: a sandbox that was started again has a new one."""
        try:
            return self._token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            if isinstance(error, FileNotFoundError) and self._sandbox is not None:
                raise unreachable_error(what, self.server, "the sandbox has no token", self._sandbox) from error
            raise UnauthorizedError(
                f"can't {what}: the token file {self._token_file} can't be read ({error})"
            ) from error

    async def call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        params: Params = (),
        document: object = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
    ) -> Any:
        """The decoded JSON of the answer, None when it has no body.

        Retried when the connection breaks or the controller is just being
        started again, so set `retry` to False for calls that may not happen twice.
        """
        delays = iter(_RETRY_DELAYS if retry else ())
        while True:
            try:
                async with self.open(
                    method, path, what, params=params, document=document, body=body, headers=headers
                ) as answer:
                    return await self._json(answer, what)
            except ConnectionLostError as broken:
                delay = next(delays, None)
                if delay is None:
                    raise broken.error from broken.__cause__
            await self._sleep(delay)

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        what: str,
        *,
        params: Params = (),
        document: object = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        streaming: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, its body still to be read. `streaming` is for streams and transfers of any length.

        Raises:
            ClientError: for every status from 400 up.
            Broken: the connection broke, also inside the `async with`; wraps what to raise in the end.
        """
        sent = {"Authorization": f"Bearer {self.token(what)}", **(headers or {})}
        data: Any = body() if body is not None else None
        if document is not None:
            data = json.dumps(document, ensure_ascii=False).encode()
            sent["Content-Type"] = "application/json"
        timeout = _STREAM_TIMEOUT if streaming or body is not None else _TIMEOUT
        try:
            async with self._session.request(
                method, self.server + path, params=list(params), data=data, headers=sent, timeout=timeout
            ) as answer:
                if answer.status >= 400:
                    await self._raise_for_status(answer, what, sent["Authorization"])
                yield answer
        except (aiohttp.ClientError, ConnectionResetError, TimeoutError) as error:
            raise ConnectionLostError(self._unreachable(what, error)) from error

    async def _raise_for_status(self, answer: aiohttp.ClientResponse, what: str, authorization: str) -> None:
        try:
            body = json.loads(await answer.read())
        except ValueError:
            body = None
        error = error_for(answer.status, body, what, self.server)
        renewed = answer.status == 401 and f"Bearer {self.token(what)}" != authorization
        if renewed or answer.status in _UNAVAILABLE_STATUSES:
            raise ConnectionLostError(error)
        raise error

    @asynccontextmanager
    async def open_once(
        self, method: str, path: str, what: str, *, params: Params = ()
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """`open` for a transfer that is not tried again when it breaks."""
        try:
            async with self.open(method, path, what, params=params, streaming=True) as answer:
                yield answer
        except ConnectionLostError as broken:
            raise broken.error from broken.__cause__

    @asynccontextmanager
    async def socket(self, path: str, what: str, params: Params) -> AsyncIterator[AsyncIterator[Any]]:
        """A WebSocket's messages, decoded from JSON. Ends when the other side closes it in order."""
        async with self._socket(path, what, params) as socket:
            yield self._messages(socket, what)

    @asynccontextmanager
    async def raw_socket(self, path: str, what: str, params: Params) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket whose messages mean something else than JSON. It is not opened again when it breaks."""
        try:
            async with self._socket(path, what, params) as socket:
                yield socket
        except ConnectionLostError as broken:
            raise broken.error from broken.__cause__

    @asynccontextmanager
    async def _socket(self, path: str, what: str, params: Params) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        headers = {"Authorization": f"Bearer {self.token(what)}"}
        try:
            async with self._session.ws_connect(
                self.server + path,
                params=list(params),
                headers=headers,
                heartbeat=_HEARTBEAT,
                max_msg_size=_MAX_FRAME,
                timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
            ) as socket:
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            # A refused handshake has no body to read, so the status alone must do.
            refused = error_for(error.status, {}, what, self.server)
            raise (ConnectionLostError(refused) if error.status in _UNAVAILABLE_STATUSES else refused) from error
        except (aiohttp.ClientError, ConnectionResetError, TimeoutError) as error:
            raise ConnectionLostError(self._unreachable(what, error)) from error

    async def _messages(self, socket: aiohttp.ClientWebSocketResponse, what: str) -> AsyncIterator[Any]:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                yield self._decode(message.data, what)
            elif message.type is aiohttp.WSMsgType.ERROR:
                raise ConnectionLostError(self._unreachable(what, socket.exception() or ConnectionError("broken")))
        if socket.close_code not in (1000, 1001, None):
            raise ConnectionLostError(self._unreachable(what, ConnectionError(f"closed with code {socket.close_code}")))

    async def _json(self, answer: aiohttp.ClientResponse, what: str) -> Any:
        text = await answer.read()
        return self._decode(text, what) if text else None

    def _decode(self, text: bytes | str, what: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise ServerError(
                f"can't {what}: the answer of {self.server} is no JSON, so it is no controller, "
                "or something between us changed the answer"
            ) from error

    def _unreachable(self, what: str, error: BaseException) -> ClientError:
        return unreachable_error(what, self.server, _describe_error(error), self._sandbox)


def _describe_error(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error) or "connection refused"
    return str(error) or type(error).__name__
