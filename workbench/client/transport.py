"""HTTP to one controller: headers, tokens, timeouts, retries, and errors as `ClientError`s.

Only this module and `exec` use the HTTP library. It does not know the calls of the API.
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
    ReadOnlyError,
    ServerError,
    UnauthorizedError,
    error_for,
    unreachable_error,
)

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=90)
"""For transfers and event streams: of any length, but never silent for long (the controller sends bookmarks)."""
_RETRY_DELAYS = (0.1, 0.5, 1.5)
_UNAVAILABLE_STATUSES = (502, 503, 504)
_READING_METHODS = ("GET", "HEAD")
_HEARTBEAT = 20.0
_MAX_FRAME = 32 * 1024 * 1024

Params = Sequence[tuple[str, str]]
Body = Callable[[], AsyncIterator[bytes]]
"""Creates the body again for each attempt."""


class Transport:
    """One HTTP session. Every call takes its `action` as errors name it ("list the runs").

    With `read_only`, calls that may change something are refused here, and never sent.
    """

    def __init__(
        self,
        url: str,
        token_file: Path,
        sandbox: str | None,
        sleep: Callable[[float], Awaitable[None]],
        *,
        read_only: bool = False,
    ) -> None:
        self.server = url.rstrip("/")
        self._token_file = token_file
        self._sandbox = sandbox
        self._sleep = sleep
        self._read_only = read_only
        # The operating system's proxy settings are for remote servers; aiohttp honours no_proxy.
        self._session = aiohttp.ClientSession(trust_env=sandbox is None)

    async def close(self) -> None:
        await self._session.close()

    def token(self, action: str) -> str:
        """The token, which is read for each call: a restarted sandbox has a new one."""
        try:
            return self._token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            if isinstance(error, FileNotFoundError) and self._sandbox is not None:
                raise unreachable_error(action, self.server, "the sandbox has no token", self._sandbox) from error
            raise UnauthorizedError(
                f"can't {action}: the token file {self._token_file} can't be read ({error})"
            ) from error

    async def call(
        self,
        method: str,
        path: str,
        action: str,
        *,
        params: Params = (),
        document: object = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
    ) -> Any:
        """The decoded JSON of the answer; None if it has no body.

        The call is retried when the connection is lost or the controller is starting.
        Set `retry` to False for calls that must not happen twice.
        """
        delays = iter(_RETRY_DELAYS if retry else ())
        while True:
            try:
                async with self.open(
                    method, path, action, params=params, document=document, body=body, headers=headers
                ) as answer:
                    return await self._json(answer, action)
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
        action: str,
        *,
        params: Params = (),
        document: object = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        streaming: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer, with its body unread. `streaming` is for streams and transfers of any length.

        Raises:
            ClientError: the status is 400 or higher, or the call is not one that reads.
            ConnectionLostError: the connection was lost, also inside the `async with`; wraps the final error.
        """
        if method not in _READING_METHODS:
            self._refuse_if_read_only(action)
        sent = {"Authorization": f"Bearer {self.token(action)}", **(headers or {})}
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
                    await self._raise_for_status(answer, action, sent["Authorization"])
                yield answer
        except (aiohttp.ClientError, ConnectionResetError, TimeoutError) as error:
            raise ConnectionLostError(self._unreachable(action, error)) from error

    def _refuse_if_read_only(self, action: str) -> None:
        if self._read_only:
            raise ReadOnlyError(f"can't {action}: this is read-only")

    async def _raise_for_status(self, answer: aiohttp.ClientResponse, action: str, authorization: str) -> None:
        try:
            body = json.loads(await answer.read())
        except ValueError:
            body = None
        error = error_for(answer.status, body, action, self.server)
        renewed = answer.status == 401 and f"Bearer {self.token(action)}" != authorization
        if renewed or answer.status in _UNAVAILABLE_STATUSES:
            raise ConnectionLostError(error)
        raise error

    @asynccontextmanager
    async def open_once(
        self, method: str, path: str, action: str, *, params: Params = ()
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Like `open`, for a transfer that is not retried."""
        try:
            async with self.open(method, path, action, params=params, streaming=True) as answer:
                yield answer
        except ConnectionLostError as broken:
            raise broken.error from broken.__cause__

    @asynccontextmanager
    async def socket(self, path: str, action: str, params: Params) -> AsyncIterator[AsyncIterator[Any]]:
        """The messages of a WebSocket, decoded from JSON, until the server closes it normally."""
        async with self._socket(path, action, params) as socket:
            yield self._messages(socket, action)

    @asynccontextmanager
    async def raw_socket(
        self, path: str, action: str, params: Params
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket whose messages are not JSON. It is not reopened when the connection is lost."""
        self._refuse_if_read_only(action)
        try:
            async with self._socket(path, action, params) as socket:
                yield socket
        except ConnectionLostError as broken:
            raise broken.error from broken.__cause__

    @asynccontextmanager
    async def _socket(self, path: str, action: str, params: Params) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        headers = {"Authorization": f"Bearer {self.token(action)}"}
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
            # A rejected handshake has no body, so only the status is known.
            refused = error_for(error.status, {}, action, self.server)
            raise (ConnectionLostError(refused) if error.status in _UNAVAILABLE_STATUSES else refused) from error
        except (aiohttp.ClientError, ConnectionResetError, TimeoutError) as error:
            raise ConnectionLostError(self._unreachable(action, error)) from error

    async def _messages(self, socket: aiohttp.ClientWebSocketResponse, action: str) -> AsyncIterator[Any]:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                yield self._decode(message.data, action)
            elif message.type is aiohttp.WSMsgType.ERROR:
                raise ConnectionLostError(self._unreachable(action, socket.exception() or ConnectionError("broken")))
        if socket.close_code not in (1000, 1001, None):
            # 1006: without a closing frame, as when the controller ends.
            code = "" if socket.close_code == 1006 else f" with code {socket.close_code}"
            raise ConnectionLostError(self._unreachable(action, ConnectionError(f"it was closed{code}")))

    async def _json(self, answer: aiohttp.ClientResponse, action: str) -> Any:
        text = await answer.read()
        return self._decode(text, action) if text else None

    def _decode(self, text: bytes | str, action: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise ServerError(
                f"can't {action}: the answer of {self.server} is not JSON. "
                "Check that the URL belongs to a controller and that no proxy changes the answer"
            ) from error

    def _unreachable(self, action: str, error: BaseException) -> ClientError:
        return unreachable_error(action, self.server, _describe_error(error), self._sandbox)


def _describe_error(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error) or "connection refused"
    return str(error) or type(error).__name__
