"""Runs the API on a socket that is bound already, inside the caller's task group, and drains it when told to
stop.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from controller.api.history import History

DRAIN_SECONDS = 3
SOCKET_MESSAGE_LIMIT = 64 * 1024

log = logging.getLogger("c8s.api")


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: signals belong to the process, not to one of its parts."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:  # type: ignore[override]
        yield


async def serve(app: Any, listener: socket.socket, history: History, stop: asyncio.Event) -> None:
    """Serves until `stop` is set, then ends live streams, lets calls under way finish and returns within
    seconds.
    """
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        ws_max_size=SOCKET_MESSAGE_LIMIT,
        ws_max_queue=4,
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        backlog=1024,
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(_stop(server, history, stop), name="api-stop")
        try:
            await server.serve(sockets=[listener])
        finally:
            waiter.cancel()
    if not stop.is_set():
        raise RuntimeError("the HTTP server stopped by itself")


async def _stop(server: uvicorn.Server, history: History, stop: asyncio.Event) -> None:
    await stop.wait()
    log.info("the API stops: no new connections, live streams end")
    history.close()
    server.should_exit = True
