"""Connections to ports of pods: from this machine, where it is connected with their network."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LINE_LIMIT = 8192
"""Bytes of a line that is read from a connection."""


@asynccontextmanager
async def dial(host: str, port: int) -> AsyncIterator[Connection]:
    """A connection by TCP; closed at the end.

    Raises:
        OSError: there is none; the message is a kubelet's.
        OverflowError: there is no such port.
    """
    try:
        reader, writer = await asyncio.open_connection(host, port, limit=LINE_LIMIT)
    except socket.gaierror as error:
        raise DialError(f"dial tcp: lookup {host}: {error.strerror}") from error
    except OSError as error:
        raise dial_error(host, port, os.strerror(error.errno).lower() if error.errno else str(error)) from error
    try:
        yield reader, writer
    finally:
        writer.close()


class DialError(OSError):
    """A connection is not made; the message is a kubelet's."""


def dial_error(host: str, port: int, why: str) -> DialError:
    """The error of a connection that is not made."""
    return DialError(f"dial tcp {join_host_port(host, port)}: connect: {why}")


def join_host_port(host: str, port: int) -> str:
    """`host:port`, with brackets for an address of version 6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
