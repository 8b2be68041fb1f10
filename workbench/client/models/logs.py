"""The frames of a stream of logs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class StreamKey:
    """One stream of lines: a container of an attempt of a step (a slug)."""

    step: str
    attempt: int
    container: str


@dataclass(frozen=True)
class LogLine:
    time: int | None
    """Microseconds since 1970; None if unknown."""
    text: str
    """One line without its newline, as the step wrote it: it may contain control characters."""


@dataclass(frozen=True)
class Lines:
    """Consecutive lines, from number `first` (from 1)."""

    key: StreamKey
    first: int
    lines: tuple[LogLine, ...]


@dataclass(frozen=True)
class LinePart:
    """What the line that a stream is writing shows now, such as a progress bar; it replaces the one before.

    `number` is the number that the line will have.
    """

    key: StreamKey
    number: int
    line: LogLine


@dataclass(frozen=True)
class BacklogEnd:
    """All lines written before the stream was opened have been sent."""

    key: StreamKey


@dataclass(frozen=True)
class StreamEnd:
    """The stream is complete with `lines` lines."""

    key: StreamKey
    lines: int


@dataclass(frozen=True)
class Missed:
    """The client read too slowly: the lines `first` to `last` were not sent. `Client.logs` has them."""

    key: StreamKey
    first: int
    last: int


@dataclass(frozen=True)
class RunEnd:
    """The run and all its streams have ended."""


@dataclass(frozen=True)
class CommandStarted:
    """A command of the step has started.

    Attributes:
        index: its index in the step's `commands`, from 0.
        line: the number of the line that its output begins with.
        time: microseconds since 1970; None if unknown.
        text: its first line, shortened.
    """

    key: StreamKey
    index: int
    line: int
    time: int | None
    text: str


@dataclass(frozen=True)
class StepCommand:
    """A command of a step that has started. `end` and `exit_code` are None while it runs."""

    index: int
    text: str
    line: int
    start: datetime | None
    end: datetime | None
    exit_code: int | None


Frame = Lines | LinePart | CommandStarted | BacklogEnd | StreamEnd | Missed | RunEnd
