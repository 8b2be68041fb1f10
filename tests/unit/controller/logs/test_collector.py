"""From the cluster's stream to readers and the archive, and back."""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.logs import (
    BacklogEnd,
    Frame,
    Lines,
    LogCollector,
    LogNotFoundError,
    LogReader,
    MissedLines,
    RunEnd,
    Stream,
    StreamEnd,
)
from controller.logs import collector as keeping
from controller.logs.archive.writer import ArchiveWriter
from controller.logs.live.hub import LogHub
from controller.logs.model import parse_key
from tests.unit.controller.logs.fakes import FailingStore, FakeCluster, no_sleep, timestamped_line

STREAM = Stream("ns", "run-1", "build", 1, "step")
NAMED: dict[str, Any] = {"namespace": "ns", "run": "run-1", "slug": "build", "attempt": 1, "container": "step"}


class Collection:
    """A keeper at work, its store and a reader."""

    def __init__(self, folder: Path, cluster: FakeCluster, hub: LogHub | None = None) -> None:
        self.store = FailingStore(folder, b"key", "http://localhost")
        self.archived: asyncio.Queue[Stream] = asyncio.Queue()
        self.keeper = LogCollector(
            cluster, self.store, time.monotonic, self.archived.put_nowait, hub=hub, sleep=no_sleep
        )
        self.reader = LogReader(self.keeper.hub, self.store)

    def follow(self, secrets: tuple[bytes, ...] = (), **changed: Any) -> None:
        self.keeper.follow(**{**NAMED, **changed}, pod="pod", secrets=secrets)

    async def text(self, **how: Any) -> bytes:
        return b"".join([piece async for piece in self.reader.text(STREAM, **how)])


@asynccontextmanager
async def run_collector(folder: Path, cluster: FakeCluster, hub: LogHub | None = None) -> AsyncIterator[Collection]:
    found = Collection(folder, cluster, hub)
    running = asyncio.create_task(found.keeper.run())
    try:
        yield found
    finally:
        running.cancel()
        await asyncio.wait({running})


def numbered(count: int) -> list[bytes]:
    return [timestamped_line(1 + number / 1000, b"line %d\n" % number) for number in range(1, count + 1)]


async def test_a_short_log_is_archived_in_three_writes_and_read_back(tmp_path: Path) -> None:
    lines = [timestamped_line(1, b"one\n"), timestamped_line(2, b"\xff\x00two")]
    async with run_collector(tmp_path, FakeCluster(lines)) as home:
        home.follow()
        home.follow()
        assert await home.archived.get() == STREAM
        digest = hashlib.sha256(b"one\n\xff\x00two").hexdigest()
        assert home.keeper.result(**NAMED) == {"lines": 2, "bytes": 9, "sha256": digest, "archived": True}
        assert home.store.puts == 3
        assert await home.store.get(STREAM.key) == b"one\n\xff\x00two"
        summary = json.loads(await home.store.get(STREAM.summary_key))
        assert summary == {"lines": 2, "bytes": 9, "sha256": digest, "gaps": 0, "firstFailure": None, "lastLine": None}
        assert len(await home.store.get(STREAM.times_key)) == 16
        assert await home.text() == b"one\n\xff\x00two"


async def test_an_empty_log_is_its_summary_only(tmp_path: Path) -> None:
    async with run_collector(tmp_path, FakeCluster([])) as home:
        home.follow()
        await home.archived.get()
        assert home.store.puts == 1
        assert await home.text() == b""


async def test_nothing_unmasked_is_kept_or_shown(tmp_path: Path) -> None:
    lines = [timestamped_line(1, b"the password is hunter22\n"), timestamped_line(1, b"aHVudGVyMjI=\n")]
    async with run_collector(tmp_path, FakeCluster(lines)) as home:
        home.follow((b"hunter22",))
        await home.archived.get()
        assert await home.text() == b"the password is ***\n***\n"
        stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"hunter22" not in stored
        assert b"aHVudGVyMjI" not in stored


async def test_a_failed_step_tells_its_first_failing_line(tmp_path: Path) -> None:
    async with run_collector(
        tmp_path, FakeCluster([timestamped_line(1, b"a.py:3: error: bad\n")], exit_code=1)
    ) as home:
        home.follow()
        await home.archived.get()
        result = home.keeper.result(**NAMED)
        assert result is not None
        assert result["firstFailure"] == {"line": 1, "text": "a.py:3: error: bad", "file": "a.py", "fileLine": 3}
        assert result["lastLine"] == "a.py:3: error: bad"


async def test_a_store_that_fails_for_a_while_loses_nothing(tmp_path: Path) -> None:
    async with run_collector(tmp_path, FakeCluster(numbered(50))) as home:
        home.store.failures = 20
        home.follow()
        await home.archived.get()
        assert (await home.text()).count(b"\n") == 50


async def test_a_fault_in_writing_one_log_ends_no_other_and_loses_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "CHUNK_BYTES", 100)
    real, faults = ArchiveWriter.write_chunk, [RuntimeError("a fault of ours")]

    async def faulty(archive: ArchiveWriter, max_bytes: int) -> None:
        if faults:
            raise faults.pop()
        await real(archive, max_bytes)

    monkeypatch.setattr(ArchiveWriter, "write_chunk", faulty)
    async with run_collector(tmp_path, FakeCluster(numbered(300))) as home:
        home.follow()
        home.follow(slug="other")
        assert {(await home.archived.get()).slug for _ in range(2)} == {"build", "other"}
        for slug in ("build", "other"):
            result = home.keeper.result(**{**NAMED, "slug": slug})
            assert result is not None
            assert result["lines"] == 300


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=8)), min_size=1, max_size=40),
    st.lists(st.one_of(st.none(), st.integers(0, 900)), max_size=6),
    st.booleans(),
    st.integers(0, 5),
)
async def test_what_is_archived_is_what_was_written_however_streams_break_and_stores_fail(
    tmp_path_factory: pytest.TempPathFactory,
    printed: list[tuple[int, bytes]],
    breaks: list[int | None],
    ended: bool,
    failures: int,
) -> None:
    """Lines of equal times, whole seconds that come again after a break, and writes that fail."""
    printed = sorted((at, text.replace(b"\n", b"_")) for at, text in printed)
    lines = [timestamped_line(at / 2, text) + b"\n" for at, text in printed]
    written = b"".join(text + b"\n" for _, text in printed)
    if not ended and printed[-1][1]:
        lines[-1], written = lines[-1][:-1], written[:-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "CHUNK_BYTES", 20)
        async with run_collector(tmp_path_factory.mktemp("logs"), FakeCluster(lines, breaks=breaks)) as home:
            home.store.failures = failures
            home.follow()
            await home.archived.get()
            result = home.keeper.result(**NAMED)
            assert result is not None
            assert result["sha256"] == hashlib.sha256(written).hexdigest()
            assert (result["lines"], result["bytes"]) == (len(printed), len(written))
            assert await home.text() == written


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30), st.integers(0, 900), st.integers(1, 60))
async def test_what_a_rotation_takes_away_is_a_visible_line_and_the_rest_is_there(
    tmp_path_factory: pytest.TempPathFactory, count: int, at: int, piece: int
) -> None:
    lines = [timestamped_line(number, b"line %04d\n" % number) for number in range(1, count + 1)]
    cluster = FakeCluster(lines, breaks=[at], rotated=True, piece=piece)
    async with run_collector(tmp_path_factory.mktemp("logs"), cluster) as home:
        home.follow()
        await home.archived.get()
        text = (await home.text()).splitlines()
        numbers = [int(line[5:]) for line in text if re.fullmatch(rb"line \d{4}", line)]
        gaps = [line for line in text if b"lost" in line]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == count, "what the kubelet still has is there"
        lost = count - len(numbers)
        assert not lost or gaps, f"{lost} lines are lost and nothing says so"


async def test_a_long_log_goes_through_chunks_and_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "CHUNK_BYTES", 500)
    monkeypatch.setattr(keeping, "MAX_PENDING_BYTES", 2000)
    lines = numbered(2000)
    async with run_collector(tmp_path, FakeCluster(lines, piece=300), LogHub(stream_bytes=3000)) as home:
        home.follow()
        await home.archived.get()
        expected = b"".join(line.partition(b" ")[2] for line in lines)
        assert await home.text() == expected
        assert await home.store.get(STREAM.key) == expected
        parts = [parse_key(found.key) async for found in home.store.list("logs/")]
        assert sorted(part[1] for part in parts if part) == ["", ".json", ".times"]


@pytest.mark.parametrize(
    ("tail", "after"), [(3, 0), (None, 1995), (3, 1999), (5000, 0), (0, 0), (None, 2000), (1500, 0)]
)
async def test_the_end_of_an_archived_log_has_its_numbers_and_times(
    tmp_path: Path, tail: int | None, after: int
) -> None:
    lines = numbered(2000)
    async with run_collector(tmp_path, FakeCluster(lines, piece=4096)) as home:
        home.follow()
        await home.archived.get()
        home.keeper.forget("ns", "run-1")
        found = [line async for line in home.reader.read(STREAM, tail=tail, after=after)]
    first = max(after, 2000 - tail if tail is not None else 0)
    assert [line.number for line in found] == list(range(first + 1, 2001))
    assert all(line.text == f"line {line.number}" for line in found)
    assert all(line.time_ns == 1767225601_000000000 + line.number * 10**6 for line in found)


async def test_a_new_controller_continues_from_the_chunks(tmp_path: Path) -> None:
    lines = numbered(100)
    cluster = FakeCluster(lines, piece=64, exit_code=1)
    lines[40] = timestamped_line(1.0405, b"a.py:1: error: early\n")
    first = Collection(tmp_path, cluster)
    archive = ArchiveWriter(first.store, STREAM)
    await archive.open()
    reader = Collection(tmp_path / "other", FakeCluster(lines[:60]))
    running = asyncio.create_task(reader.keeper.run())
    reader.follow()
    await reader.archived.get()
    running.cancel()
    async for block in reader.reader.blocks(STREAM):
        archive.add(block)
        await archive.write_chunk(1)
    async with run_collector(tmp_path, cluster) as home:
        home.follow()
        await home.archived.get()
        assert cluster.connections[-1] == "2026-01-01T00:00:01Z"
        expected = b"".join(line.partition(b" ")[2] for line in lines)
        assert await home.text() == expected
        result = home.keeper.result(**NAMED)
        assert result is not None
        assert result["sha256"] == hashlib.sha256(expected).hexdigest()
        assert result["firstFailure"] == {"line": 41, "text": "a.py:1: error: early", "file": "a.py", "fileLine": 1}


async def test_an_archived_log_is_not_followed_again(tmp_path: Path) -> None:
    cluster = FakeCluster(numbered(3))
    async with run_collector(tmp_path, cluster) as home:
        home.follow()
        await home.archived.get()
        before = home.keeper.result(**NAMED)
    async with run_collector(tmp_path, cluster) as home:
        home.follow()
        await home.archived.get()
        assert home.keeper.result(**NAMED) == before
        assert len(cluster.connections) == 1


async def collect(house: Collection, finished: asyncio.Event, **how: Any) -> list[Frame]:
    return [frame async for frame in house.reader.follow_run("ns", "run-1", finished=finished, **how)]


def frame_kinds(frames: Sequence[Frame]) -> list[str]:
    found: list[str] = []
    for frame in frames:
        name = type(frame).__name__
        if not found or found[-1] != name or name != "Lines":
            found.append(name)
    return found


def numbers(frames: list[Frame], stream: Stream = STREAM) -> list[int]:
    lines = (frame for frame in frames if isinstance(frame, Lines) and frame.stream == stream)
    return [line.number for frame in lines for line in frame.lines]


async def test_a_reader_who_comes_before_the_run_begins_sees_every_line_once(tmp_path: Path) -> None:
    async with run_collector(tmp_path, FakeCluster(numbered(500))) as home, asyncio.timeout(20):
        finished = asyncio.Event()
        reading = asyncio.create_task(collect(home, finished))
        await asyncio.sleep(0)
        home.follow()
        home.follow(attempt=2)
        await home.archived.get()
        await home.archived.get()
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
    async with run_collector(tmp_path, FakeCluster(numbered(30))) as home:
        home.follow()
        await home.archived.get()
    finished = asyncio.Event()
    finished.set()
    frames = await collect(Collection(tmp_path, FakeCluster([])), finished, after={STREAM: 10})
    assert frame_kinds(frames) == ["Lines", "BacklogEnd", "StreamEnd", "RunEnd"]
    assert numbers(frames) == list(range(11, 31))


async def test_only_the_steps_that_are_asked_for_are_read(tmp_path: Path) -> None:
    async with run_collector(tmp_path, FakeCluster(numbered(2))) as home:
        home.follow()
        home.follow(slug="test")
        await home.archived.get()
        await home.archived.get()
        finished = asyncio.Event()
        finished.set()
        frames = await collect(home, finished, steps={"test"})
    assert {frame.stream.slug for frame in frames if isinstance(frame, BacklogEnd)} == {"test"}


async def test_a_slow_reader_is_told_what_it_missed(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    cluster = FakeCluster(numbered(400), piece=64, on_connect=wait)
    async with run_collector(tmp_path, cluster, LogHub(stream_bytes=2000)) as home, asyncio.timeout(20):
        home.follow()
        while home.keeper.hub.get(STREAM) is None:
            await asyncio.sleep(0)
        finished = asyncio.Event()
        frames: list[Frame] = []
        async for frame in home.reader.follow_run("ns", "run-1", finished=finished):
            frames.append(frame)
            if isinstance(frame, BacklogEnd):
                gate.set()
                log = home.keeper.hub.get(STREAM)
                while log is not None and not log.ring.first > 1:
                    await asyncio.sleep(0)
            if isinstance(frame, StreamEnd):
                finished.set()
        missed = [frame for frame in frames if isinstance(frame, MissedLines)]
        told = numbers(frames) + [n for frame in missed for n in range(frame.first, frame.last + 1)]
        assert missed
        assert sorted(told) == list(range(1, 401))


async def test_a_keeper_that_was_stopped_can_begin_again(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    cluster = FakeCluster(numbered(5), on_connect=wait)
    home = Collection(tmp_path, cluster)
    for _ in range(2):
        running = asyncio.create_task(home.keeper.run())
        home.follow()
        while not cluster.connections:
            await asyncio.sleep(0)
        if gate.is_set():
            await home.archived.get()
        running.cancel()
        await asyncio.wait({running})
        gate.set()
    assert home.keeper.result(**NAMED) is not None
    assert (await home.text()).count(b"\n") == 5


async def test_deleting_a_run_stops_following_it(tmp_path: Path) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async with run_collector(tmp_path, FakeCluster([], on_connect=never)) as home, asyncio.timeout(20):
        home.follow()
        while not home.keeper.following:
            await asyncio.sleep(0)
        home.keeper.forget("ns", "run-1")
        while home.keeper.following:
            await asyncio.sleep(0)
        with pytest.raises(LogNotFoundError):
            await home.text()


def test_keys_are_those_that_the_house_agreed_on() -> None:
    assert STREAM.key == "logs/ns/run-1/build/1.log"
    assert Stream("ns", "run-1", "build", 2, "svc-db").times_key == "logs/ns/run-1/build/2.svc-db.log.times"
    for stream in (STREAM, Stream("ns", "r", "s", 1, "log"), Stream("ns", "r", "s", 1, "json")):
        for key, part in (
            (stream.key, ""),
            (stream.summary_key, ".json"),
            (stream.times_key, ".times"),
            (stream.chunk_key(7), ".d/000007"),
        ):
            assert parse_key(key) == (stream, part)
    assert parse_key("logs/ns/run-1/build/x.log") is None
