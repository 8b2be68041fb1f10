"""The streams of attach and exec: a connection that stops being HTTP, and the frames of stdout and stderr in it.

aiohttp does not hand over such a connection, so these requests are written here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from embedded.kubelet.runtime.engine.connection.address import EngineAddress
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError

Json = dict[str, Any]

_READ = 64 * 1024
_HEADER = 8
_MAX_ERROR = 64 * 1024


class FrameDecoder:
    """Splits a stream into frames of stdout and stderr: 8 bytes of header (stream, 3 zeros, length), then content."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yields (1 for stdout or 2 for stderr, content); a frame may come in several parts."""
        view = memoryview(data)
        while view:
            if self._left == 0:
                missing = _HEADER - len(self._header)
                self._header += view[:missing]
                view = view[missing:]
                if len(self._header) == _HEADER:
                    self._stream, self._left = self._header[0], int.from_bytes(self._header[4:], "big")
                    self._header.clear()
                continue
            part, view = bytes(view[: self._left]), view[self._left :]
            self._left -= len(part)
            yield self._stream, part


class RawStream:
    """A connection after its request was answered: bytes in both directions."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        """Some bytes; empty at the end, also when the engine has gone away."""
        with suppress(ConnectionError):
            return await self._reader.read(_READ)
        return b""

    async def write(self, data: bytes) -> None:
        """Write; nothing if the other side has gone away."""
        with suppress(ConnectionError, RuntimeError):
            self._writer.write(data)
            await self._writer.drain()

    def send(self, data: bytes) -> None:
        """Write a little without waiting; nothing if the other side has gone away."""
        with suppress(OSError, RuntimeError):
            self._writer.write(data)

    def close_input(self) -> None:
        """Tell the other side that nothing more is written."""
        with suppress(OSError, RuntimeError):
            self._writer.write_eof()

    def close(self) -> None:
        """Close at once: what the other side has not taken is dropped, and what waits for that goes on."""
        self._writer.transport.abort()


async def open_stream(address: EngineAddress, path: str, body: Json | None = None) -> RawStream:
    """POST to a path that answers with a stream.

    Raises:
        EngineError: it was refused; the message is the engine's.
        EngineUnreachableError: there is no connection.
    """
    try:
        if address.path:
            reader, writer = await asyncio.open_unix_connection(address.path)
        else:
            reader, writer = await asyncio.open_connection(address.host, address.port)
    except OSError as error:
        raise EngineUnreachableError(f"can't connect to {address}: {error}") from error
    try:
        content = json.dumps(body).encode() if body is not None else b""
        head = [f"POST {path} HTTP/1.1", "Host: engine", "Connection: Upgrade", "Upgrade: tcp"]
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        writer.write("\r\n".join([*head, "", ""]).encode() + content)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(answer.split(" ", 2)[1])
        if status not in (101, 200):
            raise EngineError(status, _message(await asyncio.wait_for(reader.read(_MAX_ERROR), 5)))
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError) as error:
        writer.close()
        raise EngineUnreachableError(f"{address} did not answer {path}: {error!r}") from error
    except BaseException:
        writer.close()
        raise
    return RawStream(reader, writer)


def _message(body: bytes) -> str:
    text = body.decode(errors="replace")
    start = text.find("{")
    with suppress(ValueError, AttributeError):
        if start >= 0:
            return str(json.JSONDecoder().raw_decode(text[start:])[0].get("message", text))
    return text.strip()
