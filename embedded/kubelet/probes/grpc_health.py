"""The health check of gRPC (grpc.health.v1.Health/Check) as a client of one call.

HTTP/2 (RFC 9113) is spoken as far as that needs: one stream, headers that are sent without compression, and none that
are read. Whether a service is healthy is in the message of the answer; the status of the call, which is in compressed
headers, would only say more of why there is none.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from embedded.kubelet.runtime.dial import Connection

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM = _ACK = 0x1
_END_HEADERS, _PADDED = 0x4, 0x8
_STREAM = 1
_MAX_FRAME = 16_384
"""Bytes; no other size was agreed on (RFC 9113, 4.2)."""
_MAX_ANSWER = 1024

_PATH = "/grpc.health.v1.Health/Check"
_PREFIX = struct.Struct("!BI")
"""Before each message of gRPC: whether it is compressed, and its length."""
_SERVICE_FIELD = b"\x0a"
_STATUS_FIELD = 0x08
_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


@dataclass(frozen=True)
class _Frame:
    kind: int
    flags: int
    stream: int
    content: bytes


class _ProtocolError(Exception):
    """What answers does not speak HTTP/2, or gives up; the message says what."""


async def check_health(connection: Connection, authority: str, service: str) -> str:
    """Ask whether a service is healthy.

    Args:
        authority: of the server, `host:port`.
        service: its name; empty for that of the server as a whole.

    Returns:
        Why it is not; empty if it is.

    Raises:
        OSError: the connection breaks.
    """
    _, writer = connection
    headers = b"".join(_literal(name, value) for name, value in _headers(authority))
    writer.write(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
    writer.write(_frame(_HEADERS, _END_HEADERS, _STREAM, headers) + _frame(_DATA, _END_STREAM, _STREAM, _ask(service)))
    try:
        message = await _read_answer(connection)
    except EOFError:
        return "error: health rpc failed: the server closed the connection"
    except _ProtocolError as error:
        return f"error: health rpc failed: {error}"
    if len(message) < _PREFIX.size:
        return (
            "error: health rpc failed: no health in the answer: the server may not implement the grpc health protocol "
            "(grpc.health.v1.Health), or not know the service"
        )
    content = message[_PREFIX.size :]
    number = content[1] if len(content) > 1 and content[0] == _STATUS_FIELD else 0
    name = _STATUSES[number] if number < len(_STATUSES) else str(number)
    return "" if name == "SERVING" else f'service unhealthy (responded with "{name}")'


def _headers(authority: str) -> list[tuple[str, str]]:
    own = [(":method", "POST"), (":scheme", "http"), (":authority", authority), (":path", _PATH)]
    return [*own, ("content-type", "application/grpc"), ("te", "trailers"), ("user-agent", "kube-probe/1.36")]


def _literal(name: str, value: str) -> bytes:
    """A header that is neither compressed nor remembered (RFC 7541, 6.2.2)."""
    return b"\0" + b"".join(_length(text) + text for text in (name.encode(), value.encode()))


def _length(text: bytes) -> bytes:
    """The length of a text in headers (RFC 7541, 5.1, with a prefix of 7 bits)."""
    return bytes([len(text)]) if len(text) < 127 else b"\x7f" + _varint(len(text) - 127)


def _varint(number: int) -> bytes:
    """A number in groups of 7 bits, the lowest first, as in headers and in messages."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _ask(service: str) -> bytes:
    """A HealthCheckRequest with its prefix."""
    name = service.encode()
    message = _SERVICE_FIELD + _varint(len(name)) + name if name else b""
    return _PREFIX.pack(0, len(message)) + message


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


async def _read_answer(connection: Connection) -> bytes:
    """The content of the answer. Raises EOFError, OSError, _ProtocolError."""
    _, writer = connection
    answer = b""
    while True:
        frame = await _read_frame(connection)
        if frame.kind in (_SETTINGS, _PING) and not frame.flags & _ACK:
            writer.write(_frame(frame.kind, _ACK, 0, frame.content if frame.kind == _PING else b""))
        elif frame.kind == _GOAWAY:
            raise _ProtocolError(f"the server gives up: HTTP/2 error {int.from_bytes(frame.content[4:8], 'big')}")
        elif frame.stream == _STREAM:
            if frame.kind == _RST_STREAM:
                raise _ProtocolError(f"the server refuses: HTTP/2 error {int.from_bytes(frame.content, 'big')}")
            if frame.kind == _DATA:
                answer = (answer + _without_padding(frame))[:_MAX_ANSWER]
            if frame.kind in (_DATA, _HEADERS) and frame.flags & _END_STREAM:
                return answer


async def _read_frame(connection: Connection) -> _Frame:
    reader, _ = connection
    head = await reader.readexactly(9)
    length = int.from_bytes(head[:3], "big")
    if length > _MAX_FRAME:
        raise _ProtocolError("the server does not speak HTTP/2")
    stream = int.from_bytes(head[5:], "big") & 0x7FFF_FFFF
    return _Frame(head[3], head[4], stream, await reader.readexactly(length))


def _without_padding(frame: _Frame) -> bytes:
    if not frame.flags & _PADDED or not frame.content:
        return frame.content
    return frame.content[1 : len(frame.content) - frame.content[0]]
