"""What readers of a log are sent: live, late, slow, and from the archive."""

import asyncio
from pathlib import Path

import pytest

from controller.logs import (
    BacklogEnd,
    CommandsStarted,
    Frame,
    MissedLines,
    RunEnd,
    Stream,
    StreamEnd,
)
from controller.logs.live.hub import LogHub
from tests.unit.controller.logs.collection import (
    STREAM,
    Collection,
    collect,
    frame_kinds,
    mark,
    numbered,
    numbers,
    run_collector,
)
from tests.unit.controller.logs.fakes import FakeLogServer, timestamped_line


@pytest.mark.parametrize(
    ("tail", "after"), [(3, 0), (None, 1995), (3, 1999), (5000, 0), (0, 0), (None, 2000), (1500, 0)]
)
async def test_tail_of_an_archived_log_has_numbers_and_times(tmp_path: Path, tail: int | None, after: int) -> None:
    lines = numbered(2000)
    async with run_collector(tmp_path, FakeLogServer(lines, piece=4096)) as logs:
        logs.follow()
        await logs.archived.get()
        logs.collector.forget("ns", "run-1")
        found = [line async for line in logs.reader.read(STREAM, tail=tail, after=after)]
    first = max(after, 2000 - tail if tail is not None else 0)
    assert [line.number for line in found] == list(range(first + 1, 2001))
    assert all(line.text == f"line {line.number}" for line in found)
    assert all(line.time_ns == 1767225601_000000000 + line.number * 10**6 for line in found)


async def test_reader_is_sent_each_command_once(tmp_path: Path) -> None:
    lines = [timestamped_line(1, mark(0)), timestamped_line(2, b"one\n"), timestamped_line(3, mark(1))]
    async with run_collector(tmp_path, FakeLogServer(lines, piece=3)) as logs:
        finished = asyncio.Event()
        reading = asyncio.create_task(collect(logs, finished))
        logs.follow()
        await logs.archived.get()
        finished.set()
        frames = await reading
    started = [each.command for frame in frames if isinstance(frame, CommandsStarted) for each in frame.commands]
    assert started == [0, 1]


async def test_early_reader_sees_every_line_once(tmp_path: Path) -> None:
    async with run_collector(tmp_path, FakeLogServer(numbered(500))) as logs, asyncio.timeout(60):
        finished = asyncio.Event()
        reading = asyncio.create_task(collect(logs, finished))
        await asyncio.sleep(0)
        logs.follow()
        logs.follow(attempt=2)
        await logs.archived.get()
        await logs.archived.get()
        finished.set()
        frames = await reading
        assert isinstance(frames[-1], RunEnd)
        for attempt in (1, 2):
            stream = Stream("ns", "run-1", "build", attempt, "step")
            mine = [frame for frame in frames if not isinstance(frame, RunEnd) and frame.stream == stream]
            assert numbers(frames, stream) == list(range(1, 501))
            assert frame_kinds(mine) == ["BacklogEnd", "Lines", "StreamEnd"]
            assert mine[-1] == StreamEnd(stream, 500)


async def test_a_finished_run_is_read_from_the_store(tmp_path: Path) -> None:
    async with run_collector(tmp_path, FakeLogServer(numbered(30))) as logs:
        logs.follow()
        await logs.archived.get()
    finished = asyncio.Event()
    finished.set()
    frames = await collect(Collection(tmp_path, FakeLogServer([])), finished, after={STREAM: 10})
    assert frame_kinds(frames) == ["Lines", "BacklogEnd", "StreamEnd", "RunEnd"]
    assert numbers(frames) == list(range(11, 31))


async def test_only_the_steps_that_are_asked_for_are_read(tmp_path: Path) -> None:
    async with run_collector(tmp_path, FakeLogServer(numbered(2))) as logs:
        logs.follow()
        logs.follow(slug="test")
        await logs.archived.get()
        await logs.archived.get()
        finished = asyncio.Event()
        finished.set()
        frames = await collect(logs, finished, steps={"test"})
    assert {frame.stream.slug for frame in frames if isinstance(frame, BacklogEnd)} == {"test"}


async def test_slow_reader_receives_missed_lines(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    cluster = FakeLogServer(numbered(400), piece=64, on_connect=wait)
    async with run_collector(tmp_path, cluster, LogHub(stream_bytes=2000)) as logs, asyncio.timeout(60):
        logs.follow()
        while logs.collector.hub.get(STREAM) is None:
            await asyncio.sleep(0)
        finished = asyncio.Event()
        frames: list[Frame] = []
        async for frame in logs.reader.follow_run("ns", "run-1", finished=finished):
            frames.append(frame)
            if isinstance(frame, BacklogEnd):
                gate.set()
                log = logs.collector.hub.get(STREAM)
                while log is not None and not log.ring.first > 1:
                    await asyncio.sleep(0)
            if isinstance(frame, StreamEnd):
                finished.set()
        missed = [frame for frame in frames if isinstance(frame, MissedLines)]
        received = numbers(frames) + [n for frame in missed for n in range(frame.first, frame.last + 1)]
        assert missed
        assert sorted(received) == list(range(1, 401))
