"""What one connection may cost: the time and the size of a request's head, and how many connections there are at all.

Uvicorn waits for ever for the rest of a head, keeps one of any size, and takes as many connections as come. Who sends
a byte a minute (slowloris), a head without an end, or opens thousands of connections is cut off here.
"""

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT = 15.0
MAX_HEAD_BYTES = 64 * 1024
MAX_CONNECTIONS = 4096
# Of the process's open files these stay for the store, Kubernetes and the logs.
RESERVED_FILES = 256
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def connection_limit() -> int:
    """How many connections the process can hold: fewer where it may open only few files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(16, min(MAX_CONNECTIONS, soft - RESERVED_FILES))


class BoundedHttpProtocol(HttpToolsProtocol):
    """A connection whose heads are bounded. A WebSocket leaves this class, and these bounds, when its head is there."""

    head_timeout = HEAD_TIMEOUT
    max_connections = MAX_CONNECTIONS

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuses the connection when there are too many; else the first head's time begins."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(_FULL)
            return
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts what belongs to a head."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._head_timer is not None:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD_BYTES:
                self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A head begins: on a connection that is kept, its time begins only now."""
        super().on_message_begin()
        if self._head_timer is None:
            self._start_head_timer()

    def on_headers_complete(self) -> None:
        """The head is whole; what follows is bounded by the routes."""
        self._stop_head_timer()
        super().on_headers_complete()

    def _start_head_timer(self) -> None:
        self._head_size = 0
        self._head_timer = self.loop.call_later(self.head_timeout, self._refuse, _TOO_SLOW)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, answer: bytes) -> None:
        self._stop_head_timer()
        # An answer that is on its way must not be broken into.
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(answer)
        self.transport.close()
