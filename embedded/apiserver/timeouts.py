"""Timeouts for slow clients: request headers, request body and response writes.

A slow client holds its connection for at most these times, and delays no other client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from embedded.api.status_errors import ApiError

HEADER_TIMEOUT = 15.0
"""Seconds from the first byte of a request until its headers are complete; then the connection is closed."""
BODY_TIMEOUT = 30.0
"""Seconds until the body is complete; then the response is 408."""
WRITE_TIMEOUT = 30.0
"""Seconds that one write of a response may take while the client does not read; then the connection is closed."""


class TimeoutRequestHandler(web.RequestHandler):
    """A connection that is closed when the headers of a request take too long.

    Its timer is set when a request begins and no timer runs, and is not cancelled at each end of headers: when it
    fires, it looks whether headers are awaited, and since when.
    """

    __slots__ = ("_busy", "_headers_since", "_timer")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._busy = False
        self._headers_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._busy or self._headers_since is not None:
            return
        loop = asyncio.get_running_loop()
        self._headers_since = loop.time()
        if self._timer is None:
            self._timer = loop.call_at(self._headers_since + HEADER_TIMEOUT, self._on_timer)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def request_started(self) -> None:
        """Stop the header timeout: the headers of a request are complete."""
        self._busy = True
        self._headers_since = None

    def request_finished(self) -> None:
        """Allow the header timeout for the next request: this one has been handled."""
        self._busy = False

    def _on_timer(self) -> None:
        self._timer = None
        if self._headers_since is None or self.transport is None:
            return
        loop, deadline = asyncio.get_running_loop(), self._headers_since + HEADER_TIMEOUT
        if loop.time() < deadline:
            self._timer = loop.call_at(deadline, self._on_timer)
        else:
            self.transport.abort()


class TimeoutServer(web.Server):
    """Creates a `TimeoutRequestHandler` for each connection."""

    def __call__(self) -> web.RequestHandler:
        return TimeoutRequestHandler(self, loop=self._loop, **self._kwargs)


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body of a request.

    Raises:
        ApiError: 408, it was not complete within `BODY_TIMEOUT`.
    """
    if request.content.is_eof():
        # Small bodies arrive with the headers: no timeout is needed.
        return await request.read()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.read()
    except TimeoutError:
        raise ApiError(408, "Timeout", f"the request body was not complete after {BODY_TIMEOUT:g} seconds") from None


@asynccontextmanager
async def write_timeout(request: web.BaseRequest) -> AsyncIterator[None]:
    """Close the connection if the writes inside take longer than `WRITE_TIMEOUT`.

    Raises:
        ConnectionError: the connection was closed.
    """
    try:
        async with asyncio.timeout(WRITE_TIMEOUT):
            yield
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionAbortedError("the client does not read") from None
