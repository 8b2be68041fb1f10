"""Parses the kubelet's timestamps off a log stream (`RFC3339Nano SP text` per line, in any chunks); formats times.

Works on whole chunks, because every byte that a step prints passes here. Lines without a timestamp, which the kubelet
writes when it can't read a log, get an unknown time.
"""

import re
from array import array
from calendar import timegm
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import gmtime, strptime

from controller.logs.model import UNKNOWN_TIME

NANOSECONDS = 1_000_000_000
MAX_TIMESTAMP_BYTES = 40

_TIMESTAMP = re.compile(
    rb"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9}))?(?P<zone>Z|[+-]\d\d:\d\d)\Z"
)


@dataclass(frozen=True, slots=True)
class ParsedChunk:
    """Output without its timestamps, and the times of the lines that begin in it."""

    data: bytes
    times: "array[int]"


class TimestampParser:
    """Parses one stream. `feed` takes its chunks; `flush` returns the rest at its end."""

    def __init__(self) -> None:
        self._incomplete = b""
        self._within_line = False

    def feed(self, chunk: bytes) -> ParsedChunk:
        """The chunk's output; an incomplete timestamp waits for the next chunk."""
        if self._incomplete:
            chunk, self._incomplete = self._incomplete + chunk, b""
        first, *rest = chunk.split(b"\n")
        times = array("q")
        if not rest:
            return ParsedChunk(self._parse_tail(first, times), times)
        *middle, last = rest
        texts = [first if self._within_line else _parse_line(first, times)]
        _parse_lines(middle, texts, times)
        self._within_line = False
        texts.append(self._parse_tail(last, times))
        return ParsedChunk(b"\n".join(texts), times)

    def flush(self) -> ParsedChunk:
        """What was taken for an incomplete timestamp: the stream has ended, so it was a line."""
        times = array("q")
        if not self._incomplete:
            return ParsedChunk(b"", times)
        text = _parse_line(self._incomplete, times)
        self._incomplete = b""
        self._within_line = True
        return ParsedChunk(text, times)

    def _parse_tail(self, text: bytes, times: "array[int]") -> bytes:
        """The text after a chunk's last newline: the beginning of a line, or more of one."""
        if self._within_line or not text:
            return text
        if text.find(b" ", 0, MAX_TIMESTAMP_BYTES) < 0 and len(text) < MAX_TIMESTAMP_BYTES:
            self._incomplete = text
            return b""
        self._within_line = True
        return _parse_line(text, times)


def _parse_lines(lines: list[bytes], texts: list[bytes], times: "array[int]") -> None:
    """Parses whole lines: the loop that every printed line passes."""
    second, base = b"", 0
    for line in lines:
        if line[:19] != second:
            second = line[:19]
            base = _parse_second(second)
        fraction = line[20:29]
        if line[29:31] == b"Z " and base != UNKNOWN_TIME and fraction.isdigit():
            times.append(base + int(fraction))
            texts.append(line[31:])
        else:
            texts.append(_parse_line(line, times))


def _parse_line(line: bytes, times: "array[int]") -> bytes:
    """Returns one line's text; appends its time to `times`."""
    stamp, space, text = line.partition(b" ")
    time = parse_timestamp(stamp)
    times.append(time)
    return line if time == UNKNOWN_TIME or not space else text


def parse_timestamp(stamp: bytes) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time with up to nine fraction digits; UNKNOWN_TIME if it is invalid."""
    found = _TIMESTAMP.match(stamp)
    if found is None:
        return UNKNOWN_TIME
    base = _parse_second(found["second"])
    if base == UNKNOWN_TIME:
        return UNKNOWN_TIME
    zone = found["zone"]
    if zone != b"Z":
        minutes = int(zone[1:3]) * 60 + int(zone[4:6])
        base -= (minutes if zone[:1] == b"+" else -minutes) * 60 * NANOSECONDS
    return base + int((found["fraction"] or b"").ljust(9, b"0"))


@lru_cache(maxsize=256)
def _parse_second(text: bytes) -> int:
    try:
        return timegm(strptime(text.decode("ascii", "replace"), "%Y-%m-%dT%H:%M:%S")) * NANOSECONDS
    except ValueError:
        return UNKNOWN_TIME


@lru_cache(maxsize=1024)
def _format_second(second: int) -> str:
    moment = gmtime(second)
    return (
        f"{moment.tm_year:04d}-{moment.tm_mon:02d}-{moment.tm_mday:02d}"
        f"T{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d}"
    )


def format_timestamp(time_ns: int | None) -> str | None:
    """RFC 3339 with microseconds, as the API returns times; None for None."""
    if time_ns is None:
        return None
    second, rest = divmod(time_ns, NANOSECONDS)
    return f"{_format_second(second)}.{rest // 1000:06d}Z"


def format_lines(times: Sequence[int], data: bytes) -> bytes:
    """Lines of output, each with its time before it, `-` if unknown."""
    texts = data.split(b"\n")
    last = texts.pop()
    out: list[bytes] = []
    second, head = -1, b""
    for time, text in zip(times, texts, strict=False):
        if time == UNKNOWN_TIME:
            out.append(b"- %s\n" % text)
            continue
        now, rest = divmod(time, NANOSECONDS)
        if now != second:
            second, head = now, _format_second(now).encode()
        out.append(b"%s.%06dZ %s\n" % (head, rest // 1000, text))
    if last:
        # The last line of a stream may lack its newline.
        out.append(f"{format_timestamp(None if times[-1] == UNKNOWN_TIME else times[-1]) or '-'} ".encode() + last)
    return b"".join(out)


def format_since_time(time_ns: int) -> str:
    """The time's second in RFC 3339, for `sinceTime`."""
    return f"{_format_second(time_ns // NANOSECONDS)}Z"
