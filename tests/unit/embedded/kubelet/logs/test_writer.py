"""Logs are private, cheaply indexed, and bounded in size."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from pathlib import Path

import pytest

from embedded.kubelet.logs.files import index_path
from embedded.kubelet.logs.reader import LogRange, read_log, read_tail
from embedded.kubelet.logs.writer import LogWriter, punch_hole
from tests.unit.embedded.kubelet.logs.log_files import LIMIT, read_all, split_lines, write_log, write_long_log


async def test_the_index_has_one_entry_per_read(tmp_path: Path) -> None:
    write_log(tmp_path / "0.log", [b"y\n" * 32768] * 10)
    assert index_path(tmp_path / "0.log").stat().st_size == 160


def test_a_log_is_private(tmp_path: Path) -> None:
    write_log(tmp_path / "logs" / "0.log", [b"x"])
    assert (tmp_path / "logs" / "0.log").stat().st_mode & 0o777 == 0o600


def test_a_log_over_its_limit_keeps_whole_lines_of_its_end(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    text = write_long_log(path)
    kept = asyncio.run(read_all(path))
    assert text.endswith(kept)
    assert kept.startswith(b"line ")
    assert LIMIT / 2 <= len(kept) <= LIMIT
    lines = split_lines(kept)
    assert asyncio.run(read_all(path, LogRange(tail_lines=3))) == b"".join(lines[-3:])
    assert asyncio.run(read_all(path, LogRange(tail_lines=10**6))) == kept
    assert read_tail(path, 2, 2048) == b"".join(lines[-2:])


def test_dropped_lines_use_no_disk_space(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    write_long_log(path)
    if not punch_hole(os.open(tmp_path / "probe", os.O_RDWR | os.O_CREAT), 1):
        pytest.skip("this file system gives no room back")
    assert path.stat().st_size > 8 * LIMIT
    assert _disk_usage(path) + _disk_usage(index_path(path)) < 2 * LIMIT


def test_times_are_correct_after_lines_were_dropped(tmp_path: Path) -> None:
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
    log = LogWriter(path, lambda: 1, LIMIT)
    for _ in range(20):
        log.write(b"x" * 10_000)
    log.write(b"\nend\n")
    log.close()
    kept = asyncio.run(read_all(path))
    assert kept.endswith(b"x\nend\n")
    assert len(kept) <= LIMIT
    assert asyncio.run(read_all(path, LogRange(timestamps=True))).count(b"Z ") == 2


async def test_a_slow_reader_continues_at_the_new_start(tmp_path: Path) -> None:
    ticks = count(1, 1)
    log = LogWriter(tmp_path / "0.log", lambda: next(ticks), LIMIT)
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
    assert 0 < numbers[0] < 20_000 - LIMIT / 2 / 12


def _disk_usage(path: Path) -> int:
    """The bytes that a file occupies on the disk."""
    return path.stat().st_blocks * 512
