"""Reconnecting streams: how long to wait between attempts, when to give up, and where to resume. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from workbench.client.models import CommandStarted, Frame, LinePart, Lines, Missed, StreamEnd, StreamKey

_FIRST_DELAY = 0.1
_MAX_DELAY = 5.0
_STABLE_AFTER = 5.0
_MAX_CURSOR_PARAMS = 300


@dataclass
class Backoff:
    """Delays between attempts that double up to 5 s, until a limit.

    `limit` is in seconds without a connection; None means forever. `jitter`
    returns numbers from 0 to 1, `clock` monotonic seconds.
    """

    limit: float | None
    clock: Callable[[], float]
    jitter: Callable[[], float]
    _failing_since: float | None = None
    _connected_at: float | None = None
    _attempts: int = 0

    def next_delay(self) -> float | None:
        """Seconds to wait before the next attempt, or None to give up."""
        now = self.clock()
        if self._connected_at is not None and now - self._connected_at >= _STABLE_AFTER:
            self._failing_since, self._attempts = None, 0
        self._connected_at = None
        self._failing_since = now if self._failing_since is None else self._failing_since
        if self.limit is not None and now - self._failing_since >= self.limit:
            return None
        delay = min(_FIRST_DELAY * 2.0**self._attempts, _MAX_DELAY)
        self._attempts = min(self._attempts + 1, 16)
        return delay * (0.5 + self.jitter() / 2)

    def connected(self) -> None:
        """Note a new connection. It counts as stable after a while, because some break immediately."""
        self._connected_at = self.clock()

    def reset(self) -> bool:
        """Note received data: the next failure starts over. True if the stream was failing until now."""
        was_failing, self._failing_since, self._attempts = self._failing_since is not None, None, 0
        return was_failing


@dataclass
class LogCursor:
    """The last line received of each stream, so that a new connection has neither a gap nor a repeat."""

    seen: dict[StreamKey, int] = field(default_factory=dict)
    ended: set[StreamKey] = field(default_factory=set)
    commands: dict[StreamKey, int] = field(default_factory=dict)
    """The index of the command that started last; a new connection begins with all of them."""

    @classmethod
    def after(cls, lines: Mapping[StreamKey, int]) -> LogCursor:
        return cls(dict(lines))

    def params(self) -> list[tuple[str, str]]:
        """Where to resume, as query parameters.

        URLs have a length limit, so of very many streams only the longest unfinished ones are
        included; lines that are sent again for the others are dropped by `advance`.
        """
        by_use = sorted(self.seen.items(), key=lambda item: (item[0] in self.ended, -item[1]))
        return [
            ("after", f"{key.step}:{key.attempt}:{key.container}:{line}") for key, line in by_use[:_MAX_CURSOR_PARAMS]
        ]

    def advance(self, frame: Frame) -> Frame | None:
        """The new part of a frame: the whole frame, its rest, or None."""
        if isinstance(frame, Lines):
            return self._lines(frame)
        if isinstance(frame, Missed):
            seen = self.seen.get(frame.key, 0)
            if frame.last <= seen:
                return None
            self.seen[frame.key] = frame.last
            return Missed(frame.key, max(frame.first, seen + 1), frame.last)
        if isinstance(frame, LinePart) and frame.number <= self.seen.get(frame.key, 0):
            return None
        if isinstance(frame, StreamEnd):
            if frame.key in self.ended:
                return None
            self.ended.add(frame.key)
        if isinstance(frame, CommandStarted):
            if frame.index <= self.commands.get(frame.key, -1):
                return None
            self.commands[frame.key] = frame.index
        return frame

    def _lines(self, frame: Lines) -> Lines | None:
        seen = self.seen.get(frame.key, 0)
        fresh = frame.lines[max(0, seen + 1 - frame.first) :]
        if not fresh:
            return None
        first = max(frame.first, seen + 1)
        self.seen[frame.key] = first + len(fresh) - 1
        return Lines(frame.key, first, fresh)
