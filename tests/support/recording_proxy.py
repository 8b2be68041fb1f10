"""A TCP proxy in front of an API server, which keeps the HTTP requests that pass through it, byte by byte as sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

_CHUNK = 65536


@dataclass(frozen=True)
class Request:
    """One HTTP/1.1 request. Header names are in lower case; of an upgraded connection, the frames are not kept."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The values of a header, joined by commas; None when there is none."""
        values = [value for found, value in self.headers if found == name]
        return ", ".join(values) if values else None


class RecordingProxy:
    """Passes connections on to a port of 127.0.0.1, in a thread of its own, until it is closed.

    Args:
        target_port: called for each connection, because the server may move.
    """

    def __init__(self, target_port: Callable[[], int]) -> None:
        self._target_port = target_port
        self._sent: list[bytearray] = []
        """What each client has sent."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests(self) -> list[Request]:
        """All requests so far, connection by connection; what is sent at this moment is left out."""
        return [request for sent in list(self._sent) for request in parse_requests(bytes(sent))]

    def close(self) -> None:
        """End all connections; what was recorded can still be read."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._relay, "127.0.0.1", 0)

    async def _stop(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = bytearray()
        self._sent.append(sent)
        with suppress(OSError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target_port())
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_copy(reader, server_writer, sent))
                    group.create_task(_copy(server_reader, writer))
            finally:
                server_writer.close()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray | None = None) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            if kept is not None:
                kept += data
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.write_eof()


def parse_requests(data: bytes) -> Iterator[Request]:
    """The complete requests of one connection; what follows a change of protocol is left out."""
    while b"\r\n\r\n" in data:
        head, _, rest = data.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ", 2)
        pairs = [each.partition(":")[::2] for each in lines]
        headers = tuple((name.strip().lower(), value.strip()) for name, value in pairs)
        request = Request(method, target, headers)
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            body, rest = _chunked_body(rest)
        else:
            length = int(request.header("content-length") or 0)
            body, rest = (rest[:length], rest[length:]) if len(rest) >= length else (None, b"")
        if body is None:
            return
        yield Request(method, target, headers, body)
        if request.header("upgrade"):
            return
        data = rest


def _chunked_body(data: bytes) -> tuple[bytes | None, bytes]:
    """The body and what follows it; None when it is not complete."""
    body = b""
    while b"\r\n" in data:
        size_line, _, data = data.partition(b"\r\n")
        size = int(size_line.partition(b";")[0], 16)
        if len(data) < size + 2:
            break
        body, data = body + data[:size], data[size + 2 :]
        if size == 0:
            return body, data
    return None, b""
