"""The kubelet's timestamps come off, wherever the stream is cut."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.logs.model import UNKNOWN_TIME
from controller.logs.timestamps import (
    TimestampParser,
    format_lines,
    format_since_time,
    format_timestamp,
    parse_timestamp,
)

T0 = 1_767_225_600_000_000_000


def stamp(nanoseconds: int) -> bytes:
    second, rest = divmod(nanoseconds, 10**9)
    return f"2026-01-01T00:00:{second:02d}.{rest:09d}Z ".encode()


def read(pieces: list[bytes]) -> tuple[bytes, list[int]]:
    stamped = TimestampParser()
    times: array[int] = array("q")
    data = b""
    for piece in pieces:
        found = stamped.feed(piece)
        data += found.data
        times.extend(found.times)
    found = stamped.flush()
    times.extend(found.times)
    return data + found.data, list(times)


texts = st.lists(st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"")), min_size=1, max_size=8)


@settings(max_examples=300, deadline=None)
@given(texts, st.booleans(), st.data())
def test_parser_restores_output_and_times(printed: list[bytes], ended: bool, data: st.DataObject) -> None:
    offsets = sorted(data.draw(st.lists(st.integers(0, 59 * 10**9), min_size=len(printed), max_size=len(printed))))
    stream = b"\n".join(stamp(at) + text for at, text in zip(offsets, printed, strict=True)) + b"\n" * ended
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    out, times = read(pieces)
    assert out == b"\n".join(printed) + b"\n" * ended
    assert times == [T0 + at for at in offsets]


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        (b"2026-01-01T00:00:00Z", T0),
        (b"2026-01-01T00:00:00.5Z", T0 + 500_000_000),
        (b"2026-01-01T02:00:00.000000001+02:00", T0 + 1),
        (b"2025-12-31T23:00:00-01:00", T0),
        (b"2026-13-01T00:00:00Z", UNKNOWN_TIME),
        (b"failed", UNKNOWN_TIME),
        (b"", UNKNOWN_TIME),
    ],
)
def test_all_forms_of_rfc_3339_are_read(text: bytes, nanoseconds: int) -> None:
    assert parse_timestamp(text) == nanoseconds


def test_line_without_a_timestamp_is_kept_whole() -> None:
    out, times = read([b"unable to retrieve container logs\n", stamp(5) + b"ok\n"])
    assert out == b"unable to retrieve container logs\nok\n"
    assert times == [UNKNOWN_TIME, T0 + 5]


def test_times_are_shown_with_microseconds() -> None:
    assert format_timestamp(T0 + 123_456_789) == "2026-01-01T00:00:00.123456Z"
    assert format_timestamp(None) is None
    assert format_since_time(T0 + 999_999_999) == "2026-01-01T00:00:00Z"


@given(
    st.lists(st.tuples(st.one_of(st.just(UNKNOWN_TIME), st.integers(0, 2**61)), st.binary(max_size=9)), max_size=9),
    st.booleans(),
)
def test_times_before_lines_are_those_that_the_lines_have(lines: list[tuple[int, bytes]], ended: bool) -> None:
    texts = [text.replace(b"\n", b"") for _, text in lines]
    if texts and not ended:
        texts[-1] += b"x"
    data = b"".join(text + b"\n" for text in texts) if ended or not texts else b"\n".join(texts)
    times = array("q", [time for time, _ in lines])
    times_shown = [(format_timestamp(None if time == UNKNOWN_TIME else time) or "-").encode() for time in times]
    expected = b"".join(stamp + b" " + text + b"\n" for stamp, text in zip(times_shown, texts, strict=True))
    assert format_lines(times, data) == (expected if ended or not texts else expected[:-1])
