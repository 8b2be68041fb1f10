"""Where a followed stream stands, and how to go on after it broke without repeating or losing a line.

A stream is resumed by `sinceTime`, whose grain is a second, so lines come again. A line is known by its kubelet
timestamp and its index among equal ones. Pure.
"""

from array import array
from collections import Counter, deque
from collections.abc import Iterable

from controller.logs.model import UNKNOWN_TIME
from controller.logs.timestamps import NANOSECONDS, ParsedChunk, format_since_time


class ResumePoint:
    """What of a stream has been taken: the times of the lines since the newest one's second began."""

    def __init__(self, times: Iterable[int] = ()) -> None:
        self._recent: deque[tuple[int, array[int]]] = deque()
        self._newest = UNKNOWN_TIME
        self._line_bytes: int | None = None
        self._record_times(array("q", times))

    @property
    def since(self) -> str | None:
        """Where to resume (`sinceTime`), None at the very beginning."""
        return None if self._newest == UNKNOWN_TIME else format_since_time(self._newest)

    def advance(self, piece: ParsedChunk) -> None:
        """Notes a piece that has been passed on."""
        self._record_times(piece.times)
        newline = piece.data.rfind(b"\n")
        if newline >= 0:
            tail = len(piece.data) - newline - 1
            starts = piece.data.count(b"\n") + (self._line_bytes is None)
            self._line_bytes = tail if tail or len(piece.times) == starts else None
        elif self._line_bytes is not None or piece.times:
            self._line_bytes = (self._line_bytes or 0) + len(piece.data)

    def discard_partial_line(self) -> None:
        """The unfinished line, if there was one, will not go on: a gap follows it."""
        self._line_bytes = None
        self._recent.clear()

    def deduplicator(self) -> "Deduplicator":
        """What a resumed stream will repeat."""
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
    """Drops from a resumed stream what was taken before it broke.

    `line_bytes` says how much of the last line had been taken when it was not complete, None when it was.
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
        """Whether all that was expected again has come."""
        return self._remaining == 0

    @property
    def done(self) -> bool:
        """Whether pieces pass unchanged from here on."""
        return self._remaining == 0 and self._skip == 0

    def new_part(self, piece: ParsedChunk) -> ParsedChunk:
        """The new part of a piece. Sets `has_gap` when lines between the old and the new are missing."""
        if self.done:
            return piece
        texts: list[bytes] = []
        times = array("q")
        starts = iter(piece.times)
        parts = piece.data.split(b"\n")
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
        """A line begins: decides what of it is skipped (None: all)."""
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
