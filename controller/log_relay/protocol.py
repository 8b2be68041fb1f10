"""Messages from the leader to a mirror about one run's logs, and their form on the wire. Pure.

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
from controller.logs.model import Block, CommandStart, PartialLine, Stream

MAX_HEAD_BYTES = 8 * 1024 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
_SIZES = struct.Struct("!II")


@dataclass(frozen=True)
class StreamOpened:
    """A stream is sent from line `next` on; older lines are in the chunks."""

    stream: Stream
    next: int
    chunks: tuple[ChunkRef, ...] = ()
    commands: tuple[CommandStart, ...] = ()


@dataclass(frozen=True)
class CommandsAdded:
    """More commands of the step have started."""

    stream: Stream
    commands: tuple[CommandStart, ...]


@dataclass(frozen=True)
class ChunksStored:
    """More chunks of a stream are in the store."""

    stream: Stream
    chunks: tuple[ChunkRef, ...]


@dataclass(frozen=True)
class LinesAppended:
    """More lines of a stream."""

    stream: Stream
    block: Block


@dataclass(frozen=True)
class PartialLineChanged:
    """The line that a stream is writing has another state. Only for mirrors that ask for it."""

    stream: Stream
    line: PartialLine


@dataclass(frozen=True)
class StreamEnded:
    """A stream has ended; `next` is the number after its last line."""

    stream: Stream
    next: int


@dataclass(frozen=True)
class StreamArchived:
    """The whole stream is in the store; `next` is the number after its last line."""

    stream: Stream
    next: int
    commands: tuple[CommandStart, ...] = ()


@dataclass(frozen=True)
class RunDropped:
    """The leader has dropped the run from memory: its logs are in the store, or deleted with it."""


@dataclass(frozen=True)
class SnapshotEnd:
    """Everything that existed when the mirror connected has been sent."""


@dataclass(frozen=True)
class Heartbeat:
    """There is nothing new, and the leader still leads."""


Message = (
    StreamOpened
    | CommandsAdded
    | ChunksStored
    | LinesAppended
    | PartialLineChanged
    | StreamEnded
    | StreamArchived
    | RunDropped
    | SnapshotEnd
    | Heartbeat
)
_WIRE_TYPES: Mapping[type[Message], str] = {
    StreamOpened: "opened",
    CommandsAdded: "commands",
    ChunksStored: "stored",
    LinesAppended: "printed",
    PartialLineChanged: "partial",
    StreamEnded: "ended",
    StreamArchived: "archived",
    RunDropped: "forgotten",
    SnapshotEnd: "here",
    Heartbeat: "beat",
}
_WITHOUT_STREAM: Mapping[str, Message] = {"forgotten": RunDropped(), "here": SnapshotEnd(), "beat": Heartbeat()}


def encode(message: Message) -> bytes:
    """The message as it is sent."""
    head: dict[str, Any] = {"type": _WIRE_TYPES[type(message)]}
    body = b""
    if not isinstance(message, (RunDropped, SnapshotEnd, Heartbeat)):
        head["stream"] = [message.stream.slug, message.stream.attempt, message.stream.container]
    match message:
        case StreamOpened():
            head |= {"next": message.next, "chunks": _encode_chunks(message.chunks), "commands": message.commands}
        case CommandsAdded():
            head["commands"] = message.commands
        case ChunksStored():
            head["chunks"] = _encode_chunks(message.chunks)
        case StreamEnded():
            head["next"] = message.next
        case StreamArchived():
            head |= {"next": message.next, "commands": message.commands}
        case PartialLineChanged():
            head |= {"line": message.line.number, "time": message.line.time_ns}
            body = message.line.data
        case LinesAppended():
            body = pack(message.block, 0)
    written = json.dumps(head, separators=(",", ":")).encode()
    return b"".join((_SIZES.pack(len(written), len(body)), written, body))


class Decoder:
    """Reads messages about one run from bytes as they arrive."""

    def __init__(self, namespace: str, run_uid: str) -> None:
        self._namespace = namespace
        self._run_uid = run_uid
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete. Raises RelayProtocolError."""
        self._rest += data
        found: list[Message] = []
        at = 0
        while len(self._rest) - at >= _SIZES.size:
            head, body = _SIZES.unpack_from(self._rest, at)
            if head > MAX_HEAD_BYTES or body > MAX_BODY_BYTES:
                raise RelayProtocolError(f"the leader sent a message of {head + body} bytes, which is too large")
            begin = at + _SIZES.size
            if len(self._rest) < begin + head + body:
                break
            at = begin + head + body
            found.append(self._decode(bytes(self._rest[begin : begin + head]), bytes(self._rest[begin + head : at])))
        del self._rest[:at]
        return found

    def _decode(self, written: bytes, body: bytes) -> Message:
        try:
            head = json.loads(written)
            kind = head["type"]
            if kind in _WITHOUT_STREAM:
                return _WITHOUT_STREAM[kind]
            slug, attempt, container = head["stream"]
            stream = Stream(self._namespace, self._run_uid, str(slug), int(attempt), str(container))
            match kind:
                case "opened":
                    # A leader of an earlier version knows no commands.
                    commands = _decode_commands(head.get("commands") or [])
                    return StreamOpened(stream, int(head["next"]), _decode_chunks(head["chunks"]), commands)
                case "commands":
                    return CommandsAdded(stream, _decode_commands(head["commands"]))
                case "stored":
                    return ChunksStored(stream, _decode_chunks(head["chunks"]))
                case "printed":
                    return LinesAppended(stream, unpack(body, stream.key).block)
                case "partial":
                    line = PartialLine(int(head["line"]), int(head["time"]), body)
                    return PartialLineChanged(stream, line)
                case "ended":
                    return StreamEnded(stream, int(head["next"]))
                case "archived":
                    return StreamArchived(stream, int(head["next"]), _decode_commands(head.get("commands") or []))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, BadArchiveError) as problem:
            raise RelayProtocolError(f"the leader's message can't be read ({type(problem).__name__})") from None
        raise RelayProtocolError("the leader sent a message of an unknown type")


def _decode_commands(listed: Any) -> tuple[CommandStart, ...]:
    return tuple(CommandStart(int(index), int(line), int(time_ns)) for index, line, time_ns in listed)


def _encode_chunks(chunks: tuple[ChunkRef, ...]) -> list[list[Any]]:
    return [[each.key, each.first, each.end, each.size] for each in chunks]


def _decode_chunks(listed: Any) -> tuple[ChunkRef, ...]:
    return tuple(ChunkRef(str(key), int(first), int(end), int(size)) for key, first, end, size in listed)
