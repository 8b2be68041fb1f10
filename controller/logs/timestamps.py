"""Takes the kubelet's timestamps off a log stream: `RFC3339Nano SP text` per line, cut into chunks anywhere.

Works on whole chunks, because this is done for every byte that any step prints. Lines without a timestamp, which the
kubelet writes when it can't read a log, are passed on with an unknown time.
"""

import re
from array import array
from calendar import timegm
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import gmtime, strptime

from controller.logs.model import UNKNOWN_TIME

SECOND = 1_000_000_000
LONGEST_STAMP = 40

_STAMP = re.compile(
    rb"(?P<second>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d{1,9}))?(?P<zone>Z|[+-]\d\d:\d\d)\Z"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of output without its timestamps, and the times of the lines that begin in it."""

    data: bytes
    times: "array[int]"


class Stamped:
    """Reads one stream. `feed` takes its chunks, `flush` gives what is left at its end."""

    def __init__(self) -> None:
        self._head = b""
        self._within_line = False

    def feed(self, chunk: bytes) -> Piece:
        """The chunk's output; a timestamp that is not complete waits for the next chunk."""
        if self._head:
            chunk, self._head = self._head + chunk, b""
        first, *rest = chunk.split(b"\n")
        times = array("q")
        if not rest:
            return Piece(self._last(first, times), times)
        *middle, last = rest
        texts = [first if self._within_line else _unstamped(first, times)]
        _unstamp_all(middle, texts, times)
        self._within_line = False
        texts.append(self._last(last, times))
        return Piece(b"\n".join(texts), times)

    def flush(self) -> Piece:
        """What was taken for an incomplete timestamp: the stream has ended, so it was a line."""
        times = array("q")
        if not self._head:
            return Piece(b"", times)
        text = _unstamped(self._head, times)
        self._head = b""
        self._within_line = True
        return Piece(text, times)

    def _last(self, text: bytes, times: "array[int]") -> bytes:
        """The text after a chunk's last newline: the beginning of a line, or more of one."""
        if self._within_line or not text:
            return text
        if text.find(b" ", 0, LONGEST_STAMP) < 0 and len(text) < LONGEST_STAMP:
            self._head = text
            return b""
        self._within_line = True
        return _unstamped(text, times)


def _unstamp_all(lines: list[bytes], texts: list[bytes], times: "array[int]") -> None:
    """Whole lines: the loop that every printed line goes through."""
    second, base = b"", 0
    for line in lines:
        if line[:19] != second:
            second = line[:19]
            base = _second(second)
        fraction = line[20:29]
        if line[29:31] == b"Z " and base != UNKNOWN_TIME and fraction.isdigit():
            times.append(base + int(fraction))
            texts.append(line[31:])
        else:
            texts.append(_unstamped(line, times))


def _unstamped(line: bytes, times: "array[int]") -> bytes:
    """One line's text; its time goes to `times`."""
    stamp, space, text = line.partition(b" ")
    time = parse_stamp(stamp)
    times.append(time)
    return line if time == UNKNOWN_TIME or not space else text


def parse_stamp(stamp: bytes) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time with up to nine digits; UNKNOWN_TIME when it is none."""
    found = _STAMP.match(stamp)
    if found is None:
        return UNKNOWN_TIME
    base = _second(found["second"])
    if base == UNKNOWN_TIME:
        return UNKNOWN_TIME
    zone = found["zone"]
    if zone != b"Z":
        minutes = int(zone[1:3]) * 60 + int(zone[4:6])
        base -= (minutes if zone[:1] == b"+" else -minutes) * 60 * SECOND
    return base + int((found["fraction"] or b"").ljust(9, b"0"))


@lru_cache(maxsize=256)
def _second(text: bytes) -> int:
    try:
        return timegm(strptime(text.decode("ascii", "replace"), "%Y-%m-%dT%H:%M:%S")) * SECOND
    except ValueError:
        return UNKNOWN_TIME


@lru_cache(maxsize=1024)
def _second_text(second: int) -> str:
    moment = gmtime(second)
    return (
        f"{moment.tm_year:04d}-{moment.tm_mon:02d}-{moment.tm_mday:02d}"
        f"T{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d}"
    )


def timestamp(time_ns: int | None) -> str | None:
    """RFC 3339 with microseconds, as the API shows times; None for None."""
    if time_ns is None:
        return None
    second, rest = divmod(time_ns, SECOND)
    return f"{_second_text(second)}.{rest // 1000:06d}Z"


def with_stamps(times: Sequence[int], data: bytes) -> bytes:
    """Lines of output with the time of each before it, `-` where it is not known."""
    texts = data.split(b"\n")
    last = texts.pop()
    out: list[bytes] = []
    second, head = -1, b""
    for time, text in zip(times, texts, strict=False):
        if time == UNKNOWN_TIME:
            out.append(b"- %s\n" % text)
            continue
        now, rest = divmod(time, SECOND)
        if now != second:
            second, head = now, _second_text(now).encode()
        out.append(b"%s.%06dZ %s\n" % (head, rest // 1000, text))
    if last:
        # The last line of a stream may lack its end.
        out.append(f"{timestamp(None if times[-1] == UNKNOWN_TIME else times[-1]) or '-'} ".encode() + last)
    return b"".join(out)


def second_of(time_ns: int) -> str:
    """The time's second in RFC 3339, for `sinceTime`."""
    return f"{_second_text(time_ns // SECOND)}Z"
