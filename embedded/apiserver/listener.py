"""One socket for plain HTTP and TLS: what a connection speaks is told by its first byte.

kubectl sends a token over TLS only; everything else on this machine is
faster without. Knows nothing of what is asked.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)

_TLS_HANDSHAKE = b"\x16"
_HANDSHAKE_TIMEOUT = 10.0
"""Seconds for a new connection to say its first byte, and for a handshake."""


class CertificateError(Exception):
    """The certificate or its key can't be used; the message names the files."""


def load_tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Raises:
    CertificateError: see there.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(f"can't use the certificate {certificate} with the key {key}: {error}") from error
    return context


async def accept_connections(
    listener: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext
) -> None:
    """Hand each connection to a new protocol, until cancelled."""
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    async with asyncio.TaskGroup() as group:
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                # Most likely no file descriptor is left: those that are open may finish first.
                _log.warning("can't accept a connection: %s", error)
                await asyncio.sleep(0.1)
                continue
            group.create_task(_serve_connection(connection, protocol, tls))


async def _serve_connection(
    connection: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext
) -> None:
    connection.setblocking(False)
    try:
        async with asyncio.timeout(_HANDSHAKE_TIMEOUT):
            first = await _peek_first_byte(connection)
        if not first:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        secured = tls if first == _TLS_HANDSHAKE else None
        patience = _HANDSHAKE_TIMEOUT if secured else None
        await loop.connect_accepted_socket(protocol, connection, ssl=secured, ssl_handshake_timeout=patience)
    except (OSError, TimeoutError) as error:
        # A client that goes away or doesn't trust the certificate is its own affair.
        _log.debug("a connection came to nothing: %s", error)
        connection.close()
    except asyncio.CancelledError:
        connection.close()
        raise


async def _peek_first_byte(connection: socket.socket) -> bytes:
    """The first byte, left in the socket; empty when the other side has closed."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)
