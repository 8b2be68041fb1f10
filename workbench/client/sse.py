"""A parser of server-sent events that is fed with chunks of bytes. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_EVENT = 32 * 1024 * 1024


@dataclass(frozen=True)
class ServerSentEvent:
    kind: str
    data: str
    id: str | None
    """The last id up to this event, from which a client resumes."""


class EventParser:
    """Implements "Parsing an event stream" of the HTML standard (section 9.2.6), without `retry`."""

    def __init__(self) -> None:
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []
        self._size = 0
        self._id: str | None = None

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that this chunk completes.

        Raises:
            ValueError: an event is larger than 32 MiB.
        """
        *lines, rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = rest
        if len(rest) + self._size > _MAX_EVENT:
            raise ValueError("an event is larger than 32 MiB")
        return [event for line in lines if (event := self._line(line.decode(errors="replace"))) is not None]

    def _line(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value)
        elif name == "event":
            self._kind = value
        elif name == "id":
            self._id = value or None
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        kind, data = self._kind or "message", "\n".join(self._data)
        has_content = bool(self._data or self._kind)
        self._kind, self._data, self._size = "", [], 0
        return ServerSentEvent(kind, data, self._id) if has_content else None
