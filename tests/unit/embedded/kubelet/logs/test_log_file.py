"""Logs come back byte for byte, in any slice."""

from __future__ import annotations

import asyncio
import os
import re
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded.kubelet.logs import punch_hole
from embedded.kubelet.logs.log_file import LogRange, LogWriter, index_path, read_log, read_tail

ALL = LogRange()
_PREFIX = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ")
writes = st.lists(st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\0", b"\xff\xfe", b"text\n"])).map(b"".join))


def write_log(path: Path, parts: list[bytes], step: int = 1000) -> bytes:
    """Write a log, `step` nanoseconds from one write to the next; the first at `step`."""
    ticks = count(step, step)
    log = LogWriter(path, lambda: next(ticks))
    for part in parts:
        log.write(part)
    log.close()
    return b"".join(parts)


async def read_all(path: Path, part: LogRange = ALL, log: LogWriter | None = None, *, follow: bool = False) -> bytes:
    return b"".join([chunk async for chunk in read_log(path, log, part, follow=follow)])


def split_lines(text: bytes) -> list[bytes]:
    pieces = text.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


@given(writes, st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_the_last_lines_are_the_last_lines(parts: list[bytes], tail: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "0.log"
        text = write_log(path, parts)
        assert asyncio.run(read_all(path)) == text
        expected = b"".join(split_lines(text)[-tail:] if tail else [])
        assert asyncio.run(read_all(path, LogRange(tail_lines=tail))) == expected


@given(writes)
@settings(max_examples=60, deadline=None)
def test_every_line_has_a_moment_of_its_own_that_finds_it_again(parts: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "0.log"
        text = write_log(path, parts)
        stamped = split_lines(asyncio.run(read_all(path, LogRange(timestamps=True))))
        assert [_PREFIX.sub(b"", line) for line in stamped] == split_lines(text)
        moments = [int(line.split(b".")[1][:9]) for line in stamped]
        assert moments == sorted(set(moments))
        for number, moment in enumerate(moments):
            since = asyncio.run(read_all(path, LogRange(since_ns=moment, timestamps=True)))
            assert split_lines(since) == stamped[number:]
            after = asyncio.run(read_all(path, LogRange(since_ns=moment + 1, tail_lines=99)))
            assert after == b"".join(split_lines(text)[number + 1 :])


async def test_a_line_of_ten_megabytes_is_one_line(tmp_path: Path) -> None:
    long = b"x" * (10 << 20) + b"\n"
    write_log(tmp_path / "0.log", [b"before\n", *(long[n : n + 65536] for n in range(0, len(long), 65536)), b"after"])
    assert await read_all(tmp_path / "0.log", LogRange(tail_lines=2)) == long + b"after"
    stamped = await read_all(tmp_path / "0.log", LogRange(tail_lines=2, timestamps=True))
    assert len(stamped) == len(long) + len(b"after") + 2 * 31
    assert _PREFIX.match(stamped)


async def test_a_flood_of_short_lines_has_an_index_of_one_entry_per_read(tmp_path: Path) -> None:
    write_log(tmp_path / "0.log", [b"y\n" * 32768] * 10)
    assert index_path(tmp_path / "0.log").stat().st_size == 160


async def test_who_follows_gets_the_rest_and_the_end(tmp_path: Path) -> None:
    ticks = count(1)
    log = LogWriter(tmp_path / "0.log", lambda: next(ticks))
    log.write(b"first\nsec")
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def follow() -> None:
        async for chunk in read_log(log.path, log, LogRange(), follow=True):
            got.put_nowait(chunk)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(follow())
        assert await got.get() == b"first\nsec"
        log.write(b"ond\n")
        assert await got.get() == b"ond\n"
        log.write(b"no newline")
        log.close()
    assert got.get_nowait() == b"no newline"


async def test_who_follows_with_timestamps_sees_them_where_lines_begin(tmp_path: Path) -> None:
    ticks = count(1)
    log = LogWriter(tmp_path / "0.log", lambda: next(ticks))
    chunks = read_log(log.path, log, LogRange(timestamps=True), follow=True)
    log.write(b"a")
    assert _PREFIX.sub(b"", await anext(chunks)) == b"a"
    log.write(b"b\nc\n")
    second = await anext(chunks)
    assert second.startswith(b"b\n")
    assert _PREFIX.sub(b"", second[2:]) == b"c\n"
    await chunks.aclose()


def test_the_tail_of_a_log_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert read_tail(tmp_path / "none.log", 10, 100) == b""
    write_log(tmp_path / "0.log", [b"one\ntwo\nthree\n"])
    assert read_tail(tmp_path / "0.log", 2, 100) == b"two\nthree\n"
    assert read_tail(tmp_path / "0.log", 2, 3) == b"ee\n"


def test_nobody_else_may_read_a_log(tmp_path: Path) -> None:
    write_log(tmp_path / "logs" / "0.log", [b"x"])
    assert (tmp_path / "logs" / "0.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("start", [0, 5, 40])
async def test_since_a_moment_before_between_and_after_the_lines(tmp_path: Path, start: int) -> None:
    write_log(tmp_path / "0.log", [b"a\nb\n", b"c\n"], step=10)
    expected = {0: b"a\nb\nc\n", 5: b"a\nb\nc\n", 40: b""}[start]
    assert await read_all(tmp_path / "0.log", LogRange(since_ns=start)) == expected


_LIMIT = 64 * 1024


def write_long_log(path: Path) -> bytes:
    """A log beyond its limit, of lines that tell their number, a hundred at a time and a millisecond apart."""
    ticks = count(1_000_000, 1_000_000)
    log = LogWriter(path, lambda: next(ticks), _LIMIT)
    parts = [b"".join(b"line %06d\n" % (100 * block + n) for n in range(100)) for block in range(500)]
    for part in parts:
        log.write(part)
    log.close()
    return b"".join(parts)


def test_a_log_beyond_its_limit_keeps_its_end_in_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    text = write_long_log(path)
    kept = asyncio.run(read_all(path))
    assert text.endswith(kept)
    assert kept.startswith(b"line ")
    assert _LIMIT / 2 <= len(kept) <= _LIMIT
    lines = split_lines(kept)
    assert asyncio.run(read_all(path, LogRange(tail_lines=3))) == b"".join(lines[-3:])
    assert asyncio.run(read_all(path, LogRange(tail_lines=10**6))) == kept
    assert read_tail(path, 2, 2048) == b"".join(lines[-2:])


def test_what_was_dropped_takes_no_room(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    write_long_log(path)
    if not punch_hole.punch_hole(os.open(tmp_path / "probe", os.O_RDWR | os.O_CREAT), 1):
        pytest.skip("this file system gives no room back")
    assert path.stat().st_size > 8 * _LIMIT
    assert punch_hole.disk_usage(path) + punch_hole.disk_usage(index_path(path)) < 2 * _LIMIT


def test_times_are_right_behind_what_was_dropped(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    write_long_log(path)
    stamped = split_lines(asyncio.run(read_all(path, LogRange(timestamps=True))))
    first = int(stamped[0].split()[-1])
    assert stamped[0].startswith(b"1970-01-01T00:00:00.%09dZ " % ((first // 100 + 1) * 1_000_000 + first % 100))
    assert asyncio.run(read_all(path, LogRange(since_ns=1))) == asyncio.run(read_all(path))
    late = asyncio.run(read_all(path, LogRange(since_ns=500 * 1_000_000)))
    assert late == b"".join(b"line %06d\n" % number for number in range(49_900, 50_000))


def test_a_line_longer_than_the_limit_loses_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    log = LogWriter(path, lambda: 1, _LIMIT)
    for _ in range(20):
        log.write(b"x" * 10_000)
    log.write(b"\nend\n")
    log.close()
    kept = asyncio.run(read_all(path))
    assert kept.endswith(b"x\nend\n")
    assert len(kept) <= _LIMIT
    assert asyncio.run(read_all(path, LogRange(timestamps=True))).count(b"Z ") == 2


async def test_a_slow_reader_goes_on_where_the_log_begins_by_then(tmp_path: Path) -> None:
    ticks = count(1, 1)
    log = LogWriter(tmp_path / "0.log", lambda: next(ticks), _LIMIT)
    log.write(b"first\n")
    chunks = read_log(log.path, log, LogRange(timestamps=True), follow=True)
    assert (await anext(chunks)).endswith(b"first\n")
    for number in range(20_000):
        log.write(b"line %06d\n" % number)
    log.close()
    rest = b"".join([chunk async for chunk in chunks])
    assert b"\0" not in rest
    numbers = [int(line.split()[-1]) for line in split_lines(rest)]
    assert numbers == list(range(numbers[0], 20_000))
    assert 0 < numbers[0] < 20_000 - _LIMIT / 2 / 12
