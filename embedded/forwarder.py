"""Hands connections to one address of this machine on to another one, for containers that do not reach the latter."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

_log = logging.getLogger(__name__)

_READ = 256 * 1024
_RETRY_INTERVAL = 5.0
"""Seconds."""


@dataclass(frozen=True)
class Forward:
    """Where connections are taken, and where they go."""

    host: str
    port: int
    to_host: str
    to_port: int

    @classmethod
    def parse(cls, text: str) -> Forward:
        """Read `HOST:PORT=HOST:PORT`. Raises ValueError."""
        here, _, there = text.partition("=")
        (host, _, port), (to_host, _, to_port) = here.rpartition(":"), there.rpartition(":")
        if not host or not to_host or not 0 < int(port) < 1 << 16 or not 0 < int(to_port) < 1 << 16:
            raise ValueError(f"{text!r} is not HOST:PORT=HOST:PORT")
        return cls(host, int(port), to_host, int(to_port))


async def serve(forward: Forward) -> None:
    """Hand connections on until this is cancelled. An address that can't be used is tried again: bridges may come."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                to_reader, to_writer = await asyncio.open_connection(forward.to_host, forward.to_port)
                try:
                    await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))
                finally:
                    to_writer.close()
        finally:
            writer.close()

    while True:
        try:
            server = await asyncio.start_server(handle, forward.host, forward.port)
        except OSError as error:
            _log.error("containers can't connect to %s port %s: %s", forward.host, forward.port, error)
            await asyncio.sleep(_RETRY_INTERVAL)
            continue
        async with server:
            await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction to its end, and close it on the other side."""
    while data := await reader.read(_READ):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
