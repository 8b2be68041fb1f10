"""Accepts plain HTTP and TLS on one socket: the first byte of a connection tells them apart.

kubectl sends tokens over TLS only; everything else on this machine is faster without.
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
"""Seconds until a new connection must have sent its first byte, and then for the TLS handshake."""


class CertificateError(Exception):
    """The certificate or its key can't be used; the message names the files."""


def load_tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Load a server certificate.

    Raises:
        CertificateError: the certificate or its key can't be used.
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
    """Serve each connection with a new protocol, until cancelled."""
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    async with asyncio.TaskGroup() as group:
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                # Most likely out of file descriptors: wait until some connections have been closed.
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
        context = tls if first == _TLS_HANDSHAKE else None
        timeout = _HANDSHAKE_TIMEOUT if context else None
        await loop.connect_accepted_socket(protocol, connection, ssl=context, ssl_handshake_timeout=timeout)
    except (OSError, TimeoutError) as error:
        # The client disconnected, or does not trust the certificate.
        _log.debug("connection failed: %s", error)
        connection.close()
    except asyncio.CancelledError:
        connection.close()
        raise


async def _peek_first_byte(connection: socket.socket) -> bytes:
    """The first byte, which stays in the socket; empty when the client has closed the connection."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)
