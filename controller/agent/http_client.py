"""A minimal HTTP/1.1 client: one request per connection, bodies streamed both ways.

Importing `http.client` takes longer than everything else that the agent does for a small step.
"""

from __future__ import annotations

import socket
import time

from .errors import AgentError, NetworkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import TypeVar

    T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
SHORT_TIMEOUT = 3.0
"""Seconds, for a request that delays nothing else."""
CHUNK_SIZE = 256 * 1024
_HEAD_LIMIT = 64 * 1024
_RETRY_DELAYS = (0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 30.0)
"""Seconds: an object store may be unavailable for a minute without failing a step."""


class Response:
    """A response whose body has not been read yet. Close it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self.status, self.headers = self._read_head()

    def chunks(self) -> Iterator[bytes]:
        """The body. Raises NetworkError if the connection ends before it does."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._read_chunked()
            return
        length = self.headers.get("content-length")
        yield from self._read_exactly(int(length)) if length is not None else self._read_to_end()

    def body(self, limit: int = 4 * 1024 * 1024) -> bytes:
        """The whole body, truncated at `limit` bytes."""
        found = bytearray()
        for chunk in self.chunks():
            found += chunk
            if len(found) >= limit:
                break
        return bytes(found[:limit])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _read_head(self) -> tuple[int, dict[str, str]]:
        while True:
            while b"\r\n\r\n" not in self._buffer:
                if len(self._buffer) > _HEAD_LIMIT:
                    raise NetworkError("the headers of the response are too long")
                self._buffer += self._receive() or _raise_broken()
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            parts = first.split(" ", 2)
            if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
                raise NetworkError("the response is not HTTP")
            headers = {}
            for line in lines:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            if int(parts[1]) >= 200:
                return int(parts[1]), headers

    def _read_exactly(self, size: int) -> Iterator[bytes]:
        while size > 0:
            chunk, self._buffer = (self._buffer, b"") if self._buffer else (self._receive() or _raise_broken(), b"")
            if len(chunk) > size:
                chunk, self._buffer = chunk[:size], chunk[size:]
            size -= len(chunk)
            yield chunk

    def _read_to_end(self) -> Iterator[bytes]:
        if self._buffer:
            yield self._buffer
        while chunk := self._receive():
            yield chunk

    def _read_chunked(self) -> Iterator[bytes]:
        while True:
            size = self._read_chunk_size()
            if size == 0:
                return
            yield from self._read_exactly(size)
            while len(self._buffer) < 2:
                self._buffer += self._receive() or _raise_broken()
            self._buffer = self._buffer[2:]

    def _read_chunk_size(self) -> int:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > 1024:
                raise NetworkError("the chunked response is malformed")
            self._buffer += self._receive() or _raise_broken()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        try:
            return int(line.partition(b";")[0], 16)
        except ValueError:
            raise NetworkError("the chunked response is malformed") from None

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(CHUNK_SIZE)
        except OSError as error:
            raise NetworkError(f"the connection was lost: {_reason(error)}") from None


def request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: Iterable[bytes] = (),
    size: int | None = None,
    timeout: float | None = None,
) -> Response:
    """Send one request. Raises NetworkError without a response.

    Args:
        size: of the body in bytes; None without one.
        timeout: seconds to connect, and between two reads; None for the usual ones.
    """
    secure, host, port, path = parse_url(url)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {_host_header(url)}", "Connection: close", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if size is not None:
        lines.append(f"Content-Length: {size}")
    try:
        connection = _connect(secure, host, port, timeout)
    except OSError as error:
        raise NetworkError(f"no connection to {host}:{port}: {_reason(error)}") from None
    try:
        _send(connection, "\r\n".join([*lines, "", ""]).encode("latin-1"), body)
        return Response(connection)
    except BaseException:
        connection.close()
        raise


def _send(connection: socket.socket, head: bytes, body: Iterable[bytes]) -> None:
    try:
        connection.sendall(head)
        for chunk in body:
            connection.sendall(chunk)
    except (BrokenPipeError, ConnectionResetError):
        # The server may have responded before it read everything: its response has the reason.
        return
    except OSError as error:
        raise NetworkError(f"the connection was lost: {_reason(error)}") from None


def _connect(secure: bool, host: str, port: int, timeout: float | None) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=timeout or CONNECT_TIMEOUT)
    connection.settimeout(timeout or READ_TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not secure:
        return connection
    import ssl

    try:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def parse_url(url: str) -> tuple[bool, str, int, str]:
    """Whether the URL is https, and its host, port, and path with query."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if scheme not in ("http", "https") or not authority or "@" in authority or not _is_plain(url):
        raise AgentError("a URL from the API is not a plain http:// or https:// URL")
    host, _, port = authority.rpartition(":") if _has_port(authority) else (authority, "", "")
    if port and not port.isdigit():
        raise AgentError("a URL from the API has an invalid port")
    secure = scheme == "https"
    return secure, host.strip("[]"), int(port or (443 if secure else 80)), slash + path or "/"


def retry(attempt: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """Call until there is no NetworkError; raises the last one after about two minutes."""
    for delay in _RETRY_DELAYS:
        try:
            return attempt()
        except NetworkError as error:
            print(f"{error}; retrying in {delay:g} s", flush=True)
            sleep(delay)
    return attempt()


def _has_port(authority: str) -> bool:
    return ":" in authority.rpartition("]")[2]


def _host_header(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url


def _raise_broken() -> bytes:
    raise NetworkError("the connection was closed before the response was complete")


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
