"""What the leader tells a mirror about one run's logs, and how that is written on the wire. Pure.

A message is two lengths, a JSON head and, for lines, a block in the form of the archive's chunks.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.log_relay.errors import RelayProtocolError
from controller.logs.archive.chunk import pack, unpack
from controller.logs.errors import BadArchiveError
from controller.logs.live.hub import ChunkRef
from controller.logs.model import Block, Stream

HEAD_LIMIT = 8 * 1024 * 1024
BODY_LIMIT = 64 * 1024 * 1024
_SIZES = struct.Struct("!II")


@dataclass(frozen=True)
class Opened:
    """A stream whose next line that is told has the number `next`; the older ones are in the chunks."""

    stream: Stream
    next: int
    chunks: tuple[ChunkRef, ...] = ()


@dataclass(frozen=True)
class Stored:
    """More chunks are in the store."""

    stream: Stream
    chunks: tuple[ChunkRef, ...]


@dataclass(frozen=True)
class Printed:
    """Lines."""

    stream: Stream
    block: Block


@dataclass(frozen=True)
class Ended:
    """No line will follow; the number after the last one is `next`."""

    stream: Stream
    next: int


@dataclass(frozen=True)
class Archived:
    """The store has the whole of it."""

    stream: Stream
    next: int


@dataclass(frozen=True)
class Forgotten:
    """The leader has dropped what it told of the run: it is in the store, or gone with its run."""


@dataclass(frozen=True)
class Here:
    """All that was there when the mirror came has been told."""


@dataclass(frozen=True)
class Beat:
    """Nothing is new, and the leader still leads."""


Message = Opened | Stored | Printed | Ended | Archived | Forgotten | Here | Beat
_PLAIN: Mapping[str, type[Forgotten] | type[Here] | type[Beat]] = {"forgotten": Forgotten, "here": Here, "beat": Beat}


def encode(message: Message) -> bytes:
    """The message on the wire."""
    head: dict[str, Any] = {"type": type(message).__name__.lower()}
    body = b""
    if not isinstance(message, (Forgotten, Here, Beat)):
        head["stream"] = [message.stream.slug, message.stream.attempt, message.stream.container]
    match message:
        case Opened():
            head |= {"next": message.next, "chunks": _listed(message.chunks)}
        case Stored():
            head["chunks"] = _listed(message.chunks)
        case Ended() | Archived():
            head["next"] = message.next
        case Printed():
            body = pack(message.block, 0)
    written = json.dumps(head, separators=(",", ":")).encode()
    return b"".join((_SIZES.pack(len(written), len(body)), written, body))


class Decoder:
    """Messages about one run from bytes as they come."""

    def __init__(self, namespace: str, run: str) -> None:
        self._namespace = namespace
        self._run = run
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete. Raises BadStreamError."""
        self._rest += data
        found: list[Message] = []
        at = 0
        while len(self._rest) - at >= _SIZES.size:
            head, body = _SIZES.unpack_from(self._rest, at)
            if head > HEAD_LIMIT or body > BODY_LIMIT:
                raise RelayProtocolError(f"the leader sent a message of {head + body} bytes, which is none of ours")
            begin = at + _SIZES.size
            if len(self._rest) < begin + head + body:
                break
            at = begin + head + body
            found.append(self._message(bytes(self._rest[begin : begin + head]), bytes(self._rest[begin + head : at])))
        del self._rest[:at]
        return found

    def _message(self, written: bytes, body: bytes) -> Message:
        try:
            head = json.loads(written)
            kind = head["type"]
            if kind in _PLAIN:
                return _PLAIN[kind]()
            slug, attempt, container = head["stream"]
            stream = Stream(self._namespace, self._run, str(slug), int(attempt), str(container))
            match kind:
                case "opened":
                    return Opened(stream, int(head["next"]), _chunks(head["chunks"]))
                case "stored":
                    return Stored(stream, _chunks(head["chunks"]))
                case "printed":
                    return Printed(stream, unpack(body, stream.key)[0])
                case "ended":
                    return Ended(stream, int(head["next"]))
                case "archived":
                    return Archived(stream, int(head["next"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, BadArchiveError) as problem:
            raise RelayProtocolError(f"the leader's message can't be read ({type(problem).__name__})") from None
        raise RelayProtocolError("the leader sent a message of an unknown type")


def _listed(chunks: tuple[ChunkRef, ...]) -> list[list[Any]]:
    return [[each.key, each.first, each.end, each.size] for each in chunks]


def _chunks(listed: Any) -> tuple[ChunkRef, ...]:
    return tuple(ChunkRef(str(key), int(first), int(end), int(size)) for key, first, end, size in listed)
