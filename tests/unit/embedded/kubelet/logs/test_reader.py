"""Logs are read back byte for byte, whole and in any range."""

from __future__ import annotations

import asyncio
import re
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded.kubelet.logs.reader import LogRange, read_log, read_tail
from embedded.kubelet.logs.writer import LogWriter
from tests.unit.embedded.kubelet.logs.log_files import read_all, split_lines, write_log

_TIMESTAMP = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ")
_PIECES = st.sampled_from([b"a", b"\n", b"\r", b"\0", b"\xff\xfe", b"text\n"])
_WRITES = st.lists(st.lists(_PIECES, max_size=16).map(b"".join), max_size=12)


@given(_WRITES, st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_a_tail_is_the_last_lines(parts: list[bytes], tail: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "0.log"
        text = write_log(path, parts)
        assert asyncio.run(read_all(path)) == text
        expected = b"".join(split_lines(text)[-tail:] if tail else [])
        assert asyncio.run(read_all(path, LogRange(tail_lines=tail))) == expected


@given(_WRITES)
@settings(max_examples=60, deadline=None)
def test_every_line_has_a_unique_time_that_finds_it(parts: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "0.log"
        text = write_log(path, parts)
        stamped = split_lines(asyncio.run(read_all(path, LogRange(timestamps=True))))
        assert [_TIMESTAMP.sub(b"", line) for line in stamped] == split_lines(text)
        moments = [int(line.split(b".")[1][:9]) for line in stamped]
        assert moments == sorted(set(moments))
        for number, moment in enumerate(moments):
            since = asyncio.run(read_all(path, LogRange(since_ns=moment, timestamps=True)))
            assert split_lines(since) == stamped[number:]
            after = asyncio.run(read_all(path, LogRange(since_ns=moment + 1, tail_lines=len(moments))))
            assert after == b"".join(split_lines(text)[number + 1 :])


async def test_a_line_of_ten_megabytes_is_one_line(tmp_path: Path) -> None:
    long = b"x" * (10 << 20) + b"\n"
    write_log(tmp_path / "0.log", [b"before\n", *(long[n : n + 65536] for n in range(0, len(long), 65536)), b"after"])
    assert await read_all(tmp_path / "0.log", LogRange(tail_lines=2)) == long + b"after"
    stamped = await read_all(tmp_path / "0.log", LogRange(tail_lines=2, timestamps=True))
    assert len(stamped) == len(long) + len(b"after") + 2 * 31
    assert _TIMESTAMP.match(stamped)


async def test_following_yields_new_output_until_the_end(tmp_path: Path) -> None:
    ticks = count(1)
    log = LogWriter(tmp_path / "0.log", lambda: next(ticks))
    log.write(b"first\nsec")
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def follow() -> None:
        async for chunk in read_log(log.path, log, LogRange(), follow=True):
            got.put_nowait(chunk)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(follow())
        assert await got.get() == b"first\nsec"
        log.write(b"ond\n")
        assert await got.get() == b"ond\n"
        log.write(b"no newline")
        log.close()
    assert got.get_nowait() == b"no newline"


async def test_followed_timestamps_are_at_line_starts(tmp_path: Path) -> None:
    ticks = count(1)
    log = LogWriter(tmp_path / "0.log", lambda: next(ticks))
    chunks = read_log(log.path, log, LogRange(timestamps=True), follow=True)
    log.write(b"a")
    assert _TIMESTAMP.sub(b"", await anext(chunks)) == b"a"
    log.write(b"b\nc\n")
    second = await anext(chunks)
    assert second.startswith(b"b\n")
    assert _TIMESTAMP.sub(b"", second[2:]) == b"c\n"
    await chunks.aclose()


def test_the_tail_of_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert read_tail(tmp_path / "none.log", 10, 100) == b""
    write_log(tmp_path / "0.log", [b"one\ntwo\nthree\n"])
    assert read_tail(tmp_path / "0.log", 2, 100) == b"two\nthree\n"
    assert read_tail(tmp_path / "0.log", 2, 3) == b"ee\n"


@pytest.mark.parametrize("start", [0, 5, 40])
async def test_since_a_time_before_between_and_after_the_lines(tmp_path: Path, start: int) -> None:
    write_log(tmp_path / "0.log", [b"a\nb\n", b"c\n"], step=10)
    expected = {0: b"a\nb\nc\n", 5: b"a\nb\nc\n", 40: b""}[start]
    assert await read_all(tmp_path / "0.log", LogRange(since_ns=start)) == expected
