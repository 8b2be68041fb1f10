"""The streams of attach and exec: a connection that stops being HTTP, and the frames of stdout and stderr in it.

aiohttp does not hand over such a connection, so these requests are written here.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from embedded.kubelet.runtime.engine.connection.address import EngineAddress
from embedded.kubelet.runtime.engine.connection.tls import client_context, explain
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError

Json = dict[str, Any]

_READ = 64 * 1024
_HEADER = 8


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

        self._early = b""
        """What was received and is not read yet."""

    async def read(self) -> bytes:
        """Some bytes; empty at the end, also when the engine has gone away."""
        if self._early:
            early, self._early = self._early, b""
            return early
        with suppress(ConnectionError):
            return await self._receive_some()
        return b""

    async def read_until(self, end: bytes) -> bytes:
        """What comes up to some bytes, and these.

        Raises:
            ConnectionError: the engine has gone away before.
            ValueError: there is too much before.
        """
        found = b""
        while end not in found:
            if len(found) > _READ:
                raise ValueError("the head of the answer is too long")
            data = await self.read()
            if not data:
                raise ConnectionError("the connection was closed")
            found += data
        head, _, self._early = found.partition(end)
        return head + end

    async def _receive_some(self) -> bytes:
        return await self._reader.read(_READ)

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


class TlsStream(RawStream):
    """A connection by TLS, whose two directions end apart from each other.

    The streams of asyncio can't tell the other side that nothing more is written and go on reading, which is how a
    command learns that its stdin has ended.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext, host: str
    ) -> None:
        super().__init__(reader, writer)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._is_closed = False
        """Whether the end of what is written was signalled."""

    async def connect(self) -> None:
        """Agree on keys. Raises OSError, as for a certificate that is refused."""
        while True:
            try:
                self._tls.do_handshake()
                self._flush()
                return
            except ssl.SSLWantReadError:
                self._flush()
                if not await self._receive():
                    raise ConnectionError("the connection was closed during the TLS handshake") from None
            except ssl.SSLError:
                # The reason for the other side.
                self._flush()
                raise

    async def _receive_some(self) -> bytes:
        with suppress(ssl.SSLZeroReturnError, ssl.SSLEOFError):
            while True:
                try:
                    data = self._tls.read(_READ)
                    # What TLS itself has to answer, such as new keys.
                    self._flush()
                    return data
                except ssl.SSLWantReadError:
                    self._flush()
                    if not await self._receive():
                        break
        return b""

    async def write(self, data: bytes) -> None:
        """See `RawStream`."""
        with suppress(OSError, RuntimeError):
            self._encrypt(data)
            await self._writer.drain()

    def send(self, data: bytes) -> None:
        """See `RawStream`."""
        with suppress(OSError, RuntimeError):
            self._encrypt(data)

    def close_input(self) -> None:
        """See `RawStream`."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(OSError, RuntimeError):
            # Sends the end; that of the other side, which it wants to see, comes later.
            with suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()

    def _encrypt(self, data: bytes) -> None:
        if data and not self._is_closed:
            # All of it is taken: the buffer in memory has no limit.
            self._tls.write(data)
            self._flush()

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._writer.write(data)

    async def _receive(self) -> bool:
        data = await self._reader.read(_READ)
        if data:
            self._incoming.write(data)
        return bool(data)


async def _connect(address: EngineAddress) -> RawStream:
    """Raises OSError, EngineUnreachableError."""
    if address.path:
        return RawStream(*await asyncio.open_unix_connection(address.path))
    if not address.certificates:
        return RawStream(*await asyncio.open_connection(address.host, address.port))
    context = client_context(address.certificates)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    stream = TlsStream(reader, writer, context, address.host)
    try:
        await stream.connect()
    except BaseException:
        stream.close()
        raise
    return stream


async def open_stream(address: EngineAddress, path: str, body: Json | None = None) -> RawStream:
    """POST to a path that answers with a stream.

    Raises:
        EngineError: it was refused; the message is the engine's.
        EngineUnreachableError: there is no connection.
    """
    try:
        stream = await _connect(address)
    except OSError as error:
        raise EngineUnreachableError(f"can't connect to {address}: {explain(error)}") from error
    try:
        content = json.dumps(body).encode() if body is not None else b""
        head = [f"POST {path} HTTP/1.1", "Host: engine", "Connection: Upgrade", "Upgrade: tcp"]
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        await stream.write("\r\n".join([*head, "", ""]).encode() + content)
        answer = (await stream.read_until(b"\r\n\r\n")).decode("latin-1")
        status = int(answer.split(" ", 2)[1])
        if status not in (101, 200):
            raise EngineError(status, _message(await asyncio.wait_for(stream.read(), 5)))
    except (OSError, TimeoutError, ValueError, IndexError) as error:
        stream.close()
        raise EngineUnreachableError(f"{address} did not answer {path}: {error!r}") from error
    except BaseException:
        stream.close()
        raise
    return stream


def _message(body: bytes) -> str:
    text = body.decode(errors="replace")
    start = text.find("{")
    with suppress(ValueError, AttributeError):
        if start >= 0:
            return str(json.JSONDecoder().raw_decode(text[start:])[0].get("message", text))
    return text.strip()
