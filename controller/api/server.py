"""Serves the API on a bound socket, in the caller's task group, and drains it on shutdown."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any, cast

import uvicorn

from controller.api.http.protocol import BoundedHttpProtocol, connection_limit
from controller.api.streaming.watch_cache import WatchCache

DRAIN_TIMEOUT = 3
MAX_MESSAGE_BYTES = 64 * 1024

log = logging.getLogger("c8s.api")


TICK_INTERVAL = 0.1


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers, which belong to the process, and with a shutdown that needs no polling."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event, history: WatchCache) -> None:
        super().__init__(config)
        self._stop = stop
        self._history = history

    async def main_loop(self) -> None:
        """Ticks (which updates the Date header) until shutdown."""
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + 1) % 864_000
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), TICK_INTERVAL)
            self.should_exit = self.should_exit or self._stop.is_set()
        log.info("the API is shutting down: no new connections, live streams end")
        self._history.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _websocket_protocol(**arguments: Any) -> asyncio.Protocol:
    """The protocol of a WebSocket. It is imported by the first one, unless it has been before."""
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

    return WebSocketsSansIOProtocol(**arguments)


async def serve(app: Any, listener: socket.socket, watch_cache: WatchCache, stop: asyncio.Event) -> None:
    """Serves until `stop` is set; then ends live streams, lets requests finish and returns within seconds."""
    BoundedHttpProtocol.max_connections = connection_limit()
    config = uvicorn.Config(
        app,
        http=BoundedHttpProtocol,
        # Uvicorn only calls it.
        ws=cast(Any, _websocket_protocol),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_TIMEOUT,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_max_queue=4,
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        backlog=1024,
    )
    # asyncio turns Nagle's algorithm off only for sockets whose protocol is TCP, and most listeners, and what they
    # accept, have protocol 0. With it on, a response's body waits 40 ms for the acknowledgement of its
    # head.
    listener = socket.socket(listener.family, listener.type, socket.IPPROTO_TCP, fileno=listener.detach())
    server = _Server(config, stop, watch_cache)
    try:
        await server.serve(sockets=[listener])
    finally:
        listener.close()
    if not stop.is_set():
        raise RuntimeError("the HTTP server stopped unexpectedly")
