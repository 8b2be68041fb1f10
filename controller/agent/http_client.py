"""HTTP/1.1 as far as the agent needs it: one request per connection, bodies streamed both ways.

`http.client` would do, but importing it takes longer than everything else that the agent does in a small step.
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
CHUNK_SIZE = 256 * 1024
_HEAD_LIMIT = 64 * 1024
_RETRY_DELAYS = (0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 30.0)
"""Waits in seconds: a store that is away for a minute costs a minute and no step."""


class Response:
    """An answer whose body has not been read yet. Close it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self.status, self.headers = self._read_head()

    def chunks(self) -> Iterator[bytes]:
        """The body. Raises NetworkError when it breaks off."""
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._read_chunked()
            return
        length = self.headers.get("content-length")
        yield from self._read_exactly(int(length)) if length is not None else self._read_to_end()

    def body(self, limit: int = 4 * 1024 * 1024) -> bytes:
        """The whole body, cut at the limit."""
        found = bytearray()
        for piece in self.chunks():
            found += piece
            if len(found) >= limit:
                break
        return bytes(found[:limit])

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _read_head(self) -> tuple[int, dict[str, str]]:
        while True:
            while b"\r\n\r\n" not in self._buffer:
                if len(self._buffer) > _HEAD_LIMIT:
                    raise NetworkError("the answer's head is too long")
                self._buffer += self._receive() or _raise_broken()
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            parts = first.split(" ", 2)
            if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
                raise NetworkError("the answer is not HTTP")
            headers = {}
            for line in lines:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            if int(parts[1]) >= 200:
                return int(parts[1]), headers

    def _read_exactly(self, size: int) -> Iterator[bytes]:
        while size > 0:
            piece, self._buffer = (self._buffer, b"") if self._buffer else (self._receive() or _raise_broken(), b"")
            if len(piece) > size:
                piece, self._buffer = piece[:size], piece[size:]
            size -= len(piece)
            yield piece

    def _read_to_end(self) -> Iterator[bytes]:
        if self._buffer:
            yield self._buffer
        while piece := self._receive():
            yield piece

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
                raise NetworkError("the answer's chunks are not in order")
            self._buffer += self._receive() or _raise_broken()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        try:
            return int(line.partition(b";")[0], 16)
        except ValueError:
            raise NetworkError("the answer's chunks are not in order") from None

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(CHUNK_SIZE)
        except OSError as problem:
            raise NetworkError(f"the connection broke off: {_reason(problem)}") from None


def request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: Iterable[bytes] = (),
    size: int | None = None,
) -> Response:
    """Sends one request; `size` is the body's, None for none. Raises NetworkError without an answer."""
    secure, host, port, path = parse_url(url)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {_host_header(url)}", "Connection: close", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if size is not None:
        lines.append(f"Content-Length: {size}")
    try:
        connection = _connect(secure, host, port)
    except OSError as problem:
        raise NetworkError(f"no connection to {host}:{port}: {_reason(problem)}") from None
    try:
        _send(connection, "\r\n".join([*lines, "", ""]).encode("latin-1"), body)
        return Response(connection)
    except BaseException:
        connection.close()
        raise


def _send(connection: socket.socket, head: bytes, body: Iterable[bytes]) -> None:
    try:
        connection.sendall(head)
        for piece in body:
            connection.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        # The server may have answered before it read everything: its answer says why.
        return
    except OSError as problem:
        raise NetworkError(f"the connection broke off: {_reason(problem)}") from None


def _connect(secure: bool, host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=CONNECT_TIMEOUT)
    connection.settimeout(READ_TIMEOUT)
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
    """Whether it is https, the host, the port, and the path with its query."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if scheme not in ("http", "https") or not authority or "@" in authority or not _is_plain(url):
        raise AgentError("an address that the API gave is not a plain http:// or https:// one")
    host, _, port = authority.rpartition(":") if _has_port(authority) else (authority, "", "")
    if port and not port.isdigit():
        raise AgentError("an address that the API gave has no proper port")
    secure = scheme == "https"
    return secure, host.strip("[]"), int(port or (443 if secure else 80)), slash + path or "/"


def retry(attempt: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """Tries until there is an answer; gives up after about two minutes with the last error."""
    for wait in _RETRY_DELAYS:
        try:
            return attempt()
        except NetworkError as problem:
            print(f"{problem}; trying again in {wait:g} s", flush=True)
            sleep(wait)
    return attempt()


def _has_port(authority: str) -> bool:
    return ":" in authority.rpartition("]")[2]


def _host_header(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url


def _raise_broken() -> bytes:
    raise NetworkError("the connection broke off before the answer was whole")


def _reason(problem: OSError) -> str:
    return problem.strerror or str(problem) or type(problem).__name__
