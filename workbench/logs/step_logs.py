"""The logs of a run's steps, assembled in order from live frames and stored logs, on disk.

Received lines are kept while another step is shown, and `cursors` says where to
resume a stream. It opens no connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from workbench.client.models import (
    BacklogEnd,
    CommandStarted,
    Frame,
    LinePart,
    Lines,
    LogLine,
    Missed,
    StreamEnd,
    StreamKey,
)
from workbench.logs.log_file import LogFile

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


StreamState = Literal["loading", "failed", "live", "complete"]
"""`loading`: lines that exist are missing. `live`: all lines so far are here, and more may follow."""


@dataclass
class Stream:
    """The lines of one container of one attempt. `live`: the backlog is complete; `ended`: no more lines follow."""

    log: LogFile = field(default_factory=LogFile)
    live: bool = False
    ended: bool = False
    problem: str | None = None
    """Why the last attempt to load the lines failed, until one succeeds."""
    commands: list[CommandStarted] = field(default_factory=list)
    """The commands of the step that have started, of a step with several."""

    partial: LogLine | None = None
    """The line after the last one, which is still being written."""

    def add_commands(self, commands: Iterable[CommandStarted]) -> None:
        """Add commands; one that is known already is not added again."""
        latest = self.commands[-1].index if self.commands else -1
        self.commands += [command for command in commands if command.index > latest]


class StoredLogLoader:
    """Adds a stored log in chunks of whole lines; lines that are already known are skipped.

    `timestamps`: each line starts with its time (or `-`) and a space.
    """

    def __init__(self, stream: Stream, *, timestamps: bool) -> None:
        self._stream, self._stamped = stream, timestamps
        self._skip = len(stream.log)
        self._clock = _Clock()

    def feed(self, data: bytes) -> None:
        """Add a chunk. It may be called in another thread, one chunk after the other.

        Raises:
            LogFileError: the log cannot be stored.
        """
        if self._skip:
            data = self._behind(data)
        if not self._stamped:
            self._stream.log.extend(data)
            return
        lines = [line.partition(b" ") for line in data.split(b"\n")[:-1]]
        times = [self._clock.microseconds(time) for time, _, _ in lines]
        self._stream.log.extend(b"".join([text + b"\n" for _, _, text in lines]), times)

    def feed_times(self, data: bytes, first: int) -> int:
        """Add only the times of these lines, the first of which is at position `first`; the number of lines."""
        times = [self._clock.microseconds(line.partition(b" ")[0]) for line in data.split(b"\n")[:-1]]
        self._stream.log.set_times(first, times)
        return len(times)

    def finish(self) -> None:
        self._stream.partial = None
        self._stream.live = self._stream.ended = True

    def _behind(self, data: bytes) -> bytes:
        lines = data.split(b"\n")[:-1]
        fresh, self._skip = lines[self._skip :], max(self._skip - len(lines), 0)
        return b"".join(line + b"\n" for line in fresh)


class _Clock:
    """Parses RFC 3339 times; times within one second share the expensive part."""

    def __init__(self) -> None:
        self._seconds: dict[bytes, int | None] = {}

    def microseconds(self, time: bytes) -> int | None:
        # 2026-01-01T00:00:00.123456Z
        if len(time) != 27 or not time[20:26].isdigit():
            return parse_microseconds(time.decode(errors="replace"))
        second = time[:19]
        if second not in self._seconds:
            self._seconds = {second: parse_microseconds(f"{second.decode(errors='replace')}Z")}
        whole = self._seconds[second]
        return None if whole is None else whole + int(time[20:26])


class StepLogs:
    """The streams of a run that have been shown."""

    def __init__(self) -> None:
        self._streams: dict[StreamKey, Stream] = {}

    def stream(self, key: StreamKey) -> Stream:
        if key not in self._streams:
            self._streams[key] = Stream()
        return self._streams[key]

    def cursors(self, step: str) -> Mapping[StreamKey, int]:
        """The last known line of each stream of a step, from which a stream resumes."""
        return {key: len(stream.log) for key, stream in self._streams.items() if key.step == step and len(stream.log)}

    def is_complete(self, key: StreamKey) -> bool:
        return key in self._streams and self._streams[key].ended

    def state(self, key: StreamKey) -> StreamState:
        """How much of a stream is here."""
        stream = self._streams.get(key)
        if stream is None:
            return "loading"
        if stream.ended:
            return "complete"
        if stream.problem is not None:
            return "failed"
        return "live" if stream.live else "loading"

    def problem(self, key: StreamKey) -> str | None:
        """Why a stream is not complete, if the last attempt to load it failed."""
        return self._streams[key].problem if key in self._streams else None

    def apply(self, frame: Frame) -> bool:
        """Apply a frame. False if lines before it are missing: resume the stream from `cursors`.

        Raises:
            LogFileError: the log cannot be stored.
        """
        match frame:
            case Lines(key, first, lines):
                return self._append(self.stream(key), first, lines)
            case LinePart(key, number, line):
                stream = self.stream(key)
                if number == len(stream.log) + 1 and not stream.ended:
                    stream.partial = line
            case CommandStarted(key):
                self.stream(key).add_commands((frame,))
            case Missed(key, first, _):
                return first <= 0 or len(self.stream(key).log) >= frame.last
            case BacklogEnd(key):
                self.stream(key).live = True
            case StreamEnd(key, lines=count):
                stream = self.stream(key)
                stream.live = stream.ended = len(stream.log) >= count
                stream.partial = None
                return stream.ended
        return True

    def _append(self, stream: Stream, first: int, lines: tuple[LogLine, ...]) -> bool:
        have = len(stream.log)
        if first > have + 1:
            return False
        fresh = lines[have + 1 - first :]
        if fresh:
            stream.partial = None
            stream.log.append([line.text for line in fresh], [line.time for line in fresh])
        return True

    def close(self) -> None:
        for stream in self._streams.values():
            stream.log.close()
        self._streams.clear()


def parse_microseconds(time: str | None) -> int | None:
    """An RFC 3339 time as microseconds since 1970; None if it is unknown or invalid."""
    if time is None:
        return None
    try:
        return to_microseconds(datetime.fromisoformat(time))
    except ValueError:
        return None


def to_microseconds(moment: datetime | None) -> int | None:
    """A time as microseconds since 1970."""
    return None if moment is None else (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // _MICROSECOND
