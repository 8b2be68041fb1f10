"""The queue of log frames for one WebSocket, and the rate at which they are sent. Pure.

A busy step writes a thousand lines a second; a screen needs them in a few frames. Waiting lines of a stream become
one frame, frames have a maximum size, and a token bucket limits their rate: at most 50 in a second, the first at
once. When too much is waiting, the hub is not read on; it reports the lines that a slow reader misses.

Many readers of one step receive the same lines: they are encoded once (`LineEncoder`), and limited readers all send at
the same ticks of the clock, so that they need the same lines.
"""

import json
import math
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_FRAME_BYTES = 128 * 1024
MAX_LINE_CHARACTERS = 1024 * 1024 + 1024
"""Every line that the archive holds whole (1 MiB), and the note of one that was truncated there."""
MAX_PENDING_BYTES = 1024 * 1024
BURST = 8
PER_SECOND = 40.0
TICK = 1 / PER_SECOND
CACHE_BYTES = 8 * 1024 * 1024

StreamId = tuple[str, int, str]
Line = tuple[int | None, str]


@dataclass(frozen=True, slots=True)
class EncodedLines:
    """Consecutive lines from number `first` to before `end`, as the inside of a JSON array."""

    first: int
    end: int
    body: str


class LineEncoder:
    """Encodes lines as JSON and caches the latest: what one reader is sent, others will be sent too."""

    def __init__(self, frame_bytes: int = MAX_FRAME_BYTES, cache_bytes: int = CACHE_BYTES) -> None:
        self._frame_bytes = frame_bytes
        self._limit = cache_bytes
        self._size = 0
        self._cache: OrderedDict[Hashable, list[EncodedLines]] = OrderedDict()

    def cached(self, key: Hashable) -> list[EncodedLines] | None:
        """The cached lines under this key."""
        return self._cache.get(key)

    def encode(self, key: Hashable, first: int, lines: Iterable[Line]) -> list[EncodedLines]:
        """Encodes lines from number `first` on, in parts that fit into a frame each."""
        pieces = list(_encode_chunks(first, lines, self._frame_bytes))
        self._cache[key] = pieces
        self._size += _memory_size(pieces)
        while self._size > self._limit and self._cache:
            _, oldest = self._cache.popitem(last=False)
            self._size -= _memory_size(oldest)
        return pieces


def _encode_chunks(first: int, lines: Iterable[Line], limit: int) -> Iterable[EncodedLines]:
    texts: list[str] = []
    size = 0
    for time, text in lines:
        encoded = _encode((time, truncate_line(text)))
        if texts and size + len(encoded) > limit:
            yield EncodedLines(first, first + len(texts), ",".join(texts))
            first, texts, size = first + len(texts), [], 0
        texts.append(encoded)
        size += len(encoded) + 1
    if texts:
        yield EncodedLines(first, first + len(texts), ",".join(texts))


def _memory_size(pieces: Sequence[EncodedLines]) -> int:
    return sum(len(each.body) for each in pieces) + 200


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass
class _PendingFrame:
    """A waiting frame. With lines, `bodies` grows while there is room; `end` is the number after the last line."""

    head: dict[str, Any]
    bodies: list[str] | None = None
    end: int = 0
    size: int = 0


@dataclass
class FrameQueue:
    """Frames for one reader, in order within each stream."""

    frame_bytes: int = MAX_FRAME_BYTES
    max_bytes: int = MAX_PENDING_BYTES
    _pending: deque[_PendingFrame] = field(default_factory=deque)
    _last: dict[StreamId, _PendingFrame] = field(default_factory=dict)
    _size: int = 0

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def is_full(self) -> bool:
        """Whether the reader must take something before more is put in."""
        return self._size >= self.max_bytes

    def put_lines(self, stream: StreamId, pieces: Iterable[EncodedLines]) -> None:
        """Adds consecutive lines: to the stream's last frame if possible."""
        for piece in pieces:
            size = len(piece.body) + 1
            frame = self._last.get(stream)
            if frame is None or not self._fits(frame, piece.first, size):
                head = {"type": "lines", **_stream_fields(stream), "first": piece.first}
                frame = self._append(stream, _PendingFrame(head, bodies=[]))
            if frame.bodies is not None:
                frame.bodies.append(piece.body)
            frame.end = piece.end
            frame.size += size
            self._size += size

    def put(self, stream: StreamId | None, kind: str, **rest: Any) -> None:
        """Adds a frame without lines (`live`, `end`, `missed`, `done`); `stream` is None for `done`."""
        named = {} if stream is None else _stream_fields(stream)
        self._append(stream, _PendingFrame({"type": kind, **named, **rest}))

    def put_partial(self, stream: StreamId, **line: Any) -> None:
        """Adds the state of an unfinished line; one of the stream that waits at its end is replaced."""
        head = {"type": "partial", **_stream_fields(stream), **line}
        last = self._last.get(stream)
        if last is not None and last.head["type"] == "partial":
            last.head = head
        else:
            self._append(stream, _PendingFrame(head))

    def take(self) -> str:
        """The next frame as JSON."""
        frame = self._pending.popleft()
        self._size -= frame.size
        for stream, last in list(self._last.items()):
            if last is frame:
                del self._last[stream]
        text = _encode(frame.head)
        return text if frame.bodies is None else f'{text[:-1]},"lines":[{",".join(frame.bodies)}]}}'

    def take_all(self) -> str:
        """The waiting frames as one message: one frame, or a batch up to the size of the largest frame.

        Many streams with one frame each must not wait for one another.
        """
        texts = [self.take()]
        size = len(texts[0])
        while self._pending and size + self._pending[0].size < self.frame_bytes:
            texts.append(self.take())
            size += len(texts[-1])
        return texts[0] if len(texts) == 1 else '{"type":"batch","frames":[' + ",".join(texts) + "]}"

    def _fits(self, frame: _PendingFrame, number: int, size: int) -> bool:
        return frame.bodies is not None and frame.end == number and frame.size + size <= self.frame_bytes

    def _append(self, stream: StreamId | None, frame: _PendingFrame) -> _PendingFrame:
        self._pending.append(frame)
        if stream is not None:
            self._last[stream] = frame
        return frame


@dataclass
class RateLimiter:
    """A token bucket: `BURST` frames at once, then one at each tick of the clock, 40 a second.

    The ticks are the same for all readers of this process.
    """

    tokens: float = BURST
    at: float | None = None
    tick: int = 0

    def wait(self, now: float) -> float:
        """Takes a token; returns the seconds until it may be used. `now` is monotonic."""
        if self.at is not None:
            self.tokens = min(float(BURST), self.tokens + max(0.0, now - self.at) * PER_SECOND)
        self.at = now
        if self.tokens >= 1.0:
            self.tokens -= 1.0
            return 0.0
        # Never the same tick twice, however the division is rounded.
        self.tick = max(self.tick, math.floor(now / TICK)) + 1
        self.tokens, self.at = 0.0, self.tick * TICK
        return max(0.0, self.at - now)


def truncate_line(text: str) -> str:
    """A line as a frame carries it: a very long one is truncated, visibly; the archive has all of it."""
    if len(text) <= MAX_LINE_CHARACTERS:
        return text
    hidden = len(text) - MAX_LINE_CHARACTERS
    return f"{text[:MAX_LINE_CHARACTERS]} … [{hidden} more characters of this line are in the archive]"


def _stream_fields(stream: StreamId) -> dict[str, Any]:
    step, attempt, container = stream
    return {"step": step, "attempt": attempt, "container": container}
