"""Resumes a broken log stream without repeating or losing a line. Pure.

A stream is resumed by `sinceTime`, whose resolution is a second, so lines are repeated. A line is identified by its
kubelet timestamp and its index among lines with the same timestamp.
"""

from array import array
from collections import Counter, deque
from collections.abc import Iterable

from controller.logs.model import UNKNOWN_TIME
from controller.logs.timestamps import NANOSECONDS, ParsedChunk, format_since_time


class ResumePoint:
    """What has been read of a stream: the times of the lines since the newest one's second began."""

    def __init__(self, times: Iterable[int] = ()) -> None:
        self._recent: deque[tuple[int, array[int]]] = deque()
        self._newest = UNKNOWN_TIME
        self._line_bytes: int | None = None
        self._record_times(array("q", times))

    @property
    def since(self) -> str | None:
        """Where to resume (`sinceTime`); None at the very beginning."""
        return None if self._newest == UNKNOWN_TIME else format_since_time(self._newest)

    @property
    def has_partial_line(self) -> bool:
        """Whether the end of the last line has not come yet."""
        return self._line_bytes is not None

    def precedes(self, started_at: int) -> bool:
        """Whether everything was read before a container's start, whose time has whole seconds."""
        return self._newest < started_at + NANOSECONDS

    def advance(self, chunk: ParsedChunk) -> None:
        """Records output that has been passed on."""
        self._record_times(chunk.times)
        newline = chunk.data.rfind(b"\n")
        if newline >= 0:
            tail = len(chunk.data) - newline - 1
            starts = chunk.data.count(b"\n") + (self._line_bytes is None)
            self._line_bytes = tail if tail or len(chunk.times) == starts else None
        elif self._line_bytes is not None or chunk.times:
            self._line_bytes = (self._line_bytes or 0) + len(chunk.data)

    def discard_partial_line(self) -> None:
        """Forgets the unfinished line, which will not continue: a gap follows it."""
        self._line_bytes = None
        self._recent.clear()

    def deduplicator(self) -> "Deduplicator":
        """Removes what a resumed stream will repeat."""
        begin = self._newest - self._newest % NANOSECONDS
        expected = Counter(
            time for _, times in self._recent for time in times if time >= begin and time != UNKNOWN_TIME
        )
        return Deduplicator(expected, self._line_bytes)

    def _record_times(self, times: "array[int]") -> None:
        if not times:
            return
        latest = max(times)
        self._recent.append((latest, times))
        if latest > self._newest:
            self._newest = latest
            begin = latest - latest % NANOSECONDS
            while self._recent[0][0] < begin:
                self._recent.popleft()


class Deduplicator:
    """Removes from a resumed stream what was read before it broke.

    `line_bytes` is how much of the last line was read if it was incomplete; None if it was complete.
    """

    def __init__(self, expected: Counter[int], line_bytes: int | None) -> None:
        self._expected = expected
        self._remaining = expected.total()
        self._line_bytes = line_bytes
        self._within = False
        self._skip: int | None = 0
        self.has_gap = False

    @property
    def is_caught_up(self) -> bool:
        """Whether everything that was expected again has come."""
        return self._remaining == 0

    @property
    def done(self) -> bool:
        """Whether output passes unchanged from here on."""
        return self._remaining == 0 and self._skip == 0

    def new_part(self, chunk: ParsedChunk) -> ParsedChunk:
        """The new part of the output. Sets `has_gap` if lines between old and new are missing."""
        if self.done:
            return chunk
        texts: list[bytes] = []
        times = array("q")
        starts = iter(chunk.times)
        parts = chunk.data.split(b"\n")
        for number, part in enumerate(parts):
            if number or not self._within:
                start = next(starts, None)
                if start is None:
                    self._within = False
                    break
                self._begin_line(start, times)
            last = number == len(parts) - 1
            texts.append(self._new_text(part, ends=not last))
            self._within = last
        return ParsedChunk(b"".join(texts), times)

    def _begin_line(self, time: int, times: "array[int]") -> None:
        """Starts a line: decides how much of it is skipped (None: all)."""
        if self._expected[time] > 0:
            self._expected[time] -= 1
            self._remaining -= 1
            self._skip = self._line_bytes if self._remaining == 0 else None
            return
        if time != UNKNOWN_TIME and self._remaining:
            self.has_gap = True
            self._remaining = 0
            self._expected.clear()
        self._skip = 0
        times.append(time)

    def _new_text(self, part: bytes, *, ends: bool) -> bytes:
        if self._skip is None:
            self._skip = 0 if ends and self._remaining == 0 else None
            return b""
        rest = part[self._skip :]
        self._skip = max(0, self._skip - len(part))
        if not ends:
            return rest
        self._skip = 0
        return rest + b"\n"
