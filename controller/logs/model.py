"""The types that the package shares: streams, their keys in the object store, lines, and frames for readers."""

import re
from array import array
from dataclasses import dataclass
from typing import NamedTuple

STEP_CONTAINER = "step"

UNKNOWN_TIME = -(2**63)
"""The time of a line whose time is unknown, also in `….log.times`."""

_KEY = re.compile(
    r"logs/(?P<namespace>[^/]+)/(?P<run_uid>[^/]+)/(?P<slug>[^/]+)/(?P<attempt>[0-9]{1,9})"
    r"(?:\.(?P<container>[^/.]+))?\.log(?P<part>|\.json|\.times|\.d/[0-9]{6,})\Z"
)


@dataclass(frozen=True, order=True)
class Stream:
    """The output of one container in one attempt of a step; `slug` is the step's DNS label.

    The run is identified by its uid: a later run of the same name has other streams.
    """

    namespace: str
    run_uid: str
    slug: str
    attempt: int
    container: str

    @property
    def key(self) -> str:
        """The key of the whole masked output, once it is archived."""
        middle = "" if self.container == STEP_CONTAINER else f".{self.container}"
        return f"{run_prefix(self.namespace, self.run_uid)}{self.slug}/{self.attempt}{middle}.log"

    @property
    def summary_key(self) -> str:
        """The key of the summary, which is written last: if it exists, the archive is complete."""
        return f"{self.key}.json"

    @property
    def times_key(self) -> str:
        """The key of the times: one signed 64-bit little-endian nanosecond timestamp per line."""
        return f"{self.key}.times"

    def chunk_key(self, number: int) -> str:
        """The key of one chunk of a log that is still being written."""
        return f"{self.key}.d/{number:06d}"


def run_prefix(namespace: str, run_uid: str) -> str:
    """The prefix of the keys of a run's logs."""
    return f"logs/{namespace}/{run_uid}/"


def parse_key(key: str) -> tuple[Stream, str] | None:
    """The stream of a key, and the rest of the key (`""`, `.json`, `.times`, `.d/000001`); None for other keys."""
    found = _KEY.match(key)
    if found is None:
        return None
    container = found["container"] or STEP_CONTAINER
    stream = Stream(found["namespace"], found["run_uid"], found["slug"], int(found["attempt"]), container)
    return stream, found["part"]


class Line(NamedTuple):
    """One line: its number from 1, its time in nanoseconds since 1970 if known, its bytes without newline."""

    number: int
    time_ns: int | None
    data: bytes

    @property
    def text(self) -> str:
        """The line as text; invalid UTF-8 is replaced."""
        return self.data.decode("utf-8", "replace")


class CommandStart(NamedTuple):
    """The start of a command of a step.

    Attributes:
        command: its index in the step's `commands`, from 0.
        line: the number of the line that its output begins with, if it prints anything.
        time_ns: nanoseconds since 1970, or `UNKNOWN_TIME`.
    """

    command: int
    line: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines: the number of the first, a time for each, and the bytes as they came.

    Every line ends in a newline, except perhaps the last of a stream.
    """

    first: int
    times: "array[int]"
    data: bytes

    @property
    def end(self) -> int:
        """The number after the last line."""
        return self.first + len(self.times)

    def lines(self) -> list[Line]:
        """The lines of the block."""
        texts = self.data.split(b"\n")
        numbers = range(self.first, self.end)
        return [
            Line(number, None if time == UNKNOWN_TIME else time, text)
            for number, time, text in zip(numbers, self.times, texts, strict=False)
        ]

    def from_line(self, number: int) -> "Block":
        """The part of the block from this line on; the whole block if it begins later."""
        skipped = number - self.first
        if skipped <= 0:
            return self
        position = 0
        for _ in range(min(skipped, len(self.times))):
            position = self.data.find(b"\n", position) + 1 or len(self.data)
        return Block(self.first + skipped, self.times[skipped:], self.data[position:])

    def until_line(self, number: int) -> "Block":
        """The part of the block before this line."""
        if number >= self.end:
            return self
        rest = self.from_line(number)
        return Block(self.first, self.times[: number - self.first], self.data[: len(self.data) - len(rest.data)])


@dataclass(frozen=True)
class Lines:
    """Consecutive lines of a stream, for a reader."""

    stream: Stream
    block: Block

    @property
    def first(self) -> int:
        """The number of the first line."""
        return self.block.first

    @property
    def lines(self) -> list[Line]:
        """The lines; split on each call."""
        return self.block.lines()


class PartialLine(NamedTuple):
    """The beginning of a line whose end has not come, such as a progress bar.

    Attributes:
        number: the number that the line will have.
        time_ns: when it began, in nanoseconds since 1970, or `UNKNOWN_TIME`.
        data: its masked text after the last carriage return: what a terminal would show now.
    """

    number: int
    time_ns: int
    data: bytes

    @property
    def text(self) -> str:
        """The text; invalid UTF-8 is replaced."""
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True)
class LinePart:
    """The present state of the line that a stream is writing; it replaces the one before."""

    stream: Stream
    line: PartialLine


@dataclass(frozen=True)
class CommandsStarted:
    """Commands of the step that have started since the last frame of this kind, or since the beginning."""

    stream: Stream
    commands: tuple[CommandStart, ...]


@dataclass(frozen=True)
class BacklogEnd:
    """The backlog of a stream is complete; what follows is live."""

    stream: Stream


@dataclass(frozen=True)
class MissedLines:
    """Lines (both numbers included) that the reader was too slow to receive; they are in the archive."""

    stream: Stream
    first: int
    last: int


@dataclass(frozen=True)
class StreamEnd:
    """The stream has ended, with this many lines, and all of it was delivered."""

    stream: Stream
    lines: int


@dataclass(frozen=True)
class RunEnd:
    """The run and all its streams have ended."""


Frame = Lines | LinePart | CommandsStarted | BacklogEnd | MissedLines | StreamEnd | RunEnd
