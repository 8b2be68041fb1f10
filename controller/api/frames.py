"""What a reader of live logs is sent, and how often: pure bookkeeping between the hub and one WebSocket.

A busy step writes a thousand lines a second; a screen needs them in a few frames. Lines of one stream that wait are
merged into one frame, frames have a largest size, and a bucket of tokens spaces them: never more than 50 in a second,
the first at once. When too much waits the hub is not asked for more; it tells a reader that fell behind what it
missed.
"""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FRAME_BYTES = 128 * 1024
LINE_CHARACTERS = 64 * 1024
WAITING_BYTES = 1024 * 1024
BURST = 10
PER_SECOND = 40.0

Stream = tuple[str, int, str]
Line = tuple[str | None, str]


@dataclass
class _Waiting:
    """A frame that waits; `lines` are merged into it while there is room."""

    head: dict[str, Any]
    lines: list[Line] | None = None
    size: int = 0


@dataclass
class Outbox:
    """Frames on their way to one reader, in order within each stream."""

    frame_bytes: int = FRAME_BYTES
    waiting_bytes: int = WAITING_BYTES
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _last: dict[Stream, _Waiting] = field(default_factory=dict)
    _size: int = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether the reader must take something before more is put in."""
        return self._size >= self.waiting_bytes

    def put_lines(self, stream: Stream, first: int, lines: list[Line]) -> None:
        """Consecutive lines from number `first`: joined to the stream's last frame where that is possible."""
        for offset, (time, text) in enumerate(lines):
            line = (time, shortened(text))
            size = len(line[1]) + 40
            frame = self._last.get(stream)
            if not self._fits(frame, first + offset, size):
                head = {"type": "lines", **_named(stream), "first": first + offset}
                frame = self._append(stream, _Waiting(head, lines=[]))
            assert frame is not None
            assert frame.lines is not None
            frame.lines.append(line)
            frame.size += size
            self._size += size

    def put(self, stream: Stream | None, kind: str, **rest: Any) -> None:
        """A frame without lines (`live`, `end`, `missed`, `done`); `stream` is None for the last."""
        named = {} if stream is None else _named(stream)
        self._append(stream, _Waiting({"type": kind, **named, **rest}))

    def take(self) -> str:
        """The next frame as JSON."""
        frame = self._waiting.popleft()
        self._size -= frame.size
        for stream, last in list(self._last.items()):
            if last is frame:
                del self._last[stream]
        body: Mapping[str, Any] = frame.head if frame.lines is None else {**frame.head, "lines": frame.lines}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))

    def take_all(self) -> str:
        """What waits, as one message: a frame, or several in a batch, up to the size of the largest frame.

        Many streams that each have a word to say must not wait for one another's turn.
        """
        texts = [self.take()]
        size = len(texts[0])
        while self._waiting and size + self._waiting[0].size < self.frame_bytes:
            texts.append(self.take())
            size += len(texts[-1])
        return texts[0] if len(texts) == 1 else '{"type":"batch","frames":[' + ",".join(texts) + "]}"

    def _fits(self, frame: _Waiting | None, number: int, size: int) -> bool:
        if frame is None or frame.lines is None:
            return False
        return frame.head["first"] + len(frame.lines) == number and frame.size + size <= self.frame_bytes

    def _append(self, stream: Stream | None, frame: _Waiting) -> _Waiting:
        self._waiting.append(frame)
        if stream is not None:
            self._last[stream] = frame
        return frame


@dataclass
class Spacing:
    """A bucket of tokens: `BURST` frames at once, then `PER_SECOND`, so that no second sees more than 50."""

    tokens: float = BURST
    at: float | None = None

    def wait(self, now: float) -> float:
        """Takes a token; the seconds until it may be used. `now` is monotonic."""
        if self.at is not None:
            self.tokens = min(float(BURST), self.tokens + (now - self.at) * PER_SECOND)
        self.at = now
        self.tokens -= 1.0
        return max(0.0, -self.tokens / PER_SECOND)


def shortened(text: str) -> str:
    """A line as a frame carries it: an endless one is cut, visibly; the archive has all of it."""
    if len(text) <= LINE_CHARACTERS:
        return text
    return f"{text[:LINE_CHARACTERS]} … [{len(text) - LINE_CHARACTERS} more characters of this line are in the archive]"


def _named(stream: Stream) -> dict[str, Any]:
    step, attempt, container = stream
    return {"step": step, "attempt": attempt, "container": container}
