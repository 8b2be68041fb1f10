"""What is followed, what is shown, and where it is kept: the names that all of this package shares."""

import re
from array import array
from dataclasses import dataclass
from typing import NamedTuple

STEP_CONTAINER = "step"

UNKNOWN_TIME = -(2**63)
"""The time of a line whose time is not known, in `….log.times` too."""

_KEY = re.compile(
    r"logs/(?P<namespace>[^/]+)/(?P<run>[^/]+)/(?P<slug>[^/]+)/(?P<attempt>[0-9]{1,9})"
    r"(?:\.(?P<container>[^/.]+))?\.log(?P<part>|\.json|\.times|\.d/[0-9]{6,})\Z"
)


@dataclass(frozen=True, order=True)
class Stream:
    """One container's output in one attempt of a step; `slug` is the step's safe name."""

    namespace: str
    run: str
    slug: str
    attempt: int
    container: str

    @property
    def key(self) -> str:
        """The object that holds the whole masked output once it is archived."""
        middle = "" if self.container == STEP_CONTAINER else f".{self.container}"
        return f"{run_prefix(self.namespace, self.run)}{self.slug}/{self.attempt}{middle}.log"

    @property
    def summary_key(self) -> str:
        """The summary: written last, so where it is, the archive is whole."""
        return f"{self.key}.json"

    @property
    def times_key(self) -> str:
        """One signed 64-bit little-endian nanosecond timestamp per line."""
        return f"{self.key}.times"

    def chunk_key(self, number: int) -> str:
        """A piece of a log that is still being written."""
        return f"{self.key}.d/{number:06d}"


def run_prefix(namespace: str, run: str) -> str:
    """What the keys of a run's logs begin with."""
    return f"logs/{namespace}/{run}/"


def parse_key(key: str) -> tuple[Stream, str] | None:
    """The stream of a key and the rest of it (`""`, `.json`, `.times`, `.d/000001`); None for other keys."""
    found = _KEY.match(key)
    if found is None:
        return None
    container = found["container"] or STEP_CONTAINER
    stream = Stream(found["namespace"], found["run"], found["slug"], int(found["attempt"]), container)
    return stream, found["part"]


class Line(NamedTuple):
    """One line: its number from 1, its time in nanoseconds since 1970 where known, its bytes without newline."""

    number: int
    time_ns: int | None
    data: bytes

    @property
    def text(self) -> str:
        """The line as text; what is not UTF-8 is replaced."""
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines as they came: the number of the first, a time for each, and the bytes.

    Every line ends in a newline but for the very last one of a stream, which may lack it.
    """

    first: int
    times: "array[int]"
    data: bytes

    @property
    def end(self) -> int:
        """The number after the last line."""
        return self.first + len(self.times)

    def lines(self) -> list[Line]:
        """The block's lines, one by one."""
        texts = self.data.split(b"\n")
        numbers = range(self.first, self.end)
        return [
            Line(number, None if time == UNKNOWN_TIME else time, text)
            for number, time, text in zip(numbers, self.times, texts, strict=False)
        ]

    def from_line(self, number: int) -> "Block":
        """The part of the block that begins with this line; the whole block when it begins later."""
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
    """Consecutive lines of a stream, as a reader is given them."""

    stream: Stream
    block: Block

    @property
    def first(self) -> int:
        """The number of the first line."""
        return self.block.first

    @property
    def lines(self) -> list[Line]:
        """The lines, split anew at each call."""
        return self.block.lines()


@dataclass(frozen=True)
class BacklogEnd:
    """What was there when the reader came has been given; from here on lines come as they are printed."""

    stream: Stream


@dataclass(frozen=True)
class MissedLines:
    """Lines that this reader was too slow for (both numbers included); they are in the archive."""

    stream: Stream
    first: int
    last: int


@dataclass(frozen=True)
class StreamEnd:
    """The stream has ended and all of it was given; it has this many lines."""

    stream: Stream
    lines: int


@dataclass(frozen=True)
class RunEnd:
    """The run has ended and every stream with it."""


Frame = Lines | BacklogEnd | MissedLines | StreamEnd | RunEnd
