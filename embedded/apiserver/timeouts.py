"""Connections of clients that don't get on with it: a head that never ends, a body that never comes, nobody who reads.

Each costs a connection for some seconds and holds nobody else up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from embedded.api.status_errors import ApiError

HEADER_TIMEOUT = 15.0
"""Seconds for the head of a request, from its first byte."""
BODY_TIMEOUT = 30.0
"""Seconds for the body."""
WRITE_TIMEOUT = 30.0
"""Seconds for a client to take what is sent before the connection is given up."""


class TimeoutRequestHandler(web.RequestHandler):
    """A connection that is closed when the head of a request takes too long."""

    __slots__ = ("_busy", "_head")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._busy = False
        self._head: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._busy and self._head is None:
            self._head = asyncio.get_running_loop().call_later(HEADER_TIMEOUT, self._abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._cancel_header_timer()
        super().connection_lost(exc)

    def request_started(self) -> None:
        """The head of a request is complete."""
        self._busy = True
        self._cancel_header_timer()

    def request_finished(self) -> None:
        """The request has its answer."""
        self._busy = False

    def _cancel_header_timer(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _abort(self) -> None:
        self._head = None
        if not self._busy and self.transport is not None:
            self.transport.abort()


class TimeoutServer(web.Server):
    """Makes a `Connection` for each client."""

    def __call__(self) -> web.RequestHandler:
        return TimeoutRequestHandler(self, loop=self._loop, **self._kwargs)


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body.

    Raises:
        ApiError: 408, it does not come.
    """
    if request.content.is_eof():
        # All of it came with the head, as small ones do: there is nothing to wait for.
        return await request.read()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.read()
    except TimeoutError:
        raise ApiError(
            408, "Timeout", f"the body of the request did not come within {BODY_TIMEOUT:g} seconds"
        ) from None


@asynccontextmanager
async def write_timeout(request: web.BaseRequest) -> AsyncIterator[None]:
    """While something is sent: give up on a client that does not take it.

    Raises:
        ConnectionError: it has been given up.
    """
    try:
        async with asyncio.timeout(WRITE_TIMEOUT):
            yield
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionAbortedError("the client does not read") from None
