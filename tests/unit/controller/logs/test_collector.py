"""From the cluster's stream to the archive."""

import asyncio
import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.logs import (
    LogNotFoundError,
    Stream,
)
from controller.logs.archive.writer import ArchiveWriter
from controller.logs.collect import stream_writer
from controller.logs.live.hub import LogHub
from controller.logs.model import parse_key
from tests.unit.controller.logs.collection import (
    NAMED,
    STREAM,
    Collection,
    numbered,
    run_collector,
)
from tests.unit.controller.logs.fakes import FakeLogServer, timestamped_line


async def test_short_log_is_archived_in_three_writes(tmp_path: Path) -> None:
    lines = [timestamped_line(1, b"one\n"), timestamped_line(2, b"\xff\x00two")]
    async with run_collector(tmp_path, FakeLogServer(lines)) as logs:
        logs.follow()
        logs.follow()
        assert await logs.archived.get() == STREAM
        digest = hashlib.sha256(b"one\n\xff\x00two").hexdigest()
        assert logs.collector.result(**NAMED) == {"lines": 2, "bytes": 9, "sha256": digest, "archived": True}
        assert logs.store.puts == 3
        assert await logs.store.get(STREAM.key) == b"one\n\xff\x00two"
        summary = json.loads(await logs.store.get(STREAM.summary_key))
        assert summary == {"lines": 2, "bytes": 9, "sha256": digest, "gaps": 0, "firstFailure": None, "lastLine": None}
        assert len(await logs.store.get(STREAM.times_key)) == 16
        assert await logs.text() == b"one\n\xff\x00two"


async def test_logs_beyond_the_limit_of_their_run_are_cut_off_visibly(tmp_path: Path) -> None:
    async with run_collector(tmp_path, FakeLogServer(numbered(50)), run_limit=20) as logs:
        logs.follow()
        await logs.archived.get()
        text = await logs.text()
        logs.follow(attempt=2)
        await logs.archived.get()
        later = logs.collector.result(**{**NAMED, "attempt": 2})
    first, *_, last = text.decode().splitlines()
    assert first == "line 1"
    assert last == "[c8s: the rest of this log is not stored: the logs of a run may have 20 bytes in all]"
    assert text.count(b"\n") < 50
    assert later is not None
    assert later["bytes"] < 200, "what other logs of the run have counts too"


async def test_a_log_that_was_cut_off_stays_so_after_a_restart(tmp_path: Path) -> None:
    async with run_collector(tmp_path, FakeLogServer(numbered(50)), run_limit=20) as logs:
        logs.follow()
        await logs.archived.get()
        text = await logs.text()
    async with run_collector(tmp_path, FakeLogServer(numbered(50)), run_limit=20) as logs:
        logs.follow()
        await logs.archived.get()
        assert await logs.text() == text


async def test_an_empty_log_is_its_summary_only(tmp_path: Path) -> None:
    async with run_collector(tmp_path, FakeLogServer([])) as logs:
        logs.follow()
        await logs.archived.get()
        assert logs.store.puts == 1
        assert await logs.text() == b""


async def test_secrets_are_masked_in_archive_and_stream(tmp_path: Path) -> None:
    lines = [timestamped_line(1, b"the password is hunter22\n"), timestamped_line(1, b"aHVudGVyMjI=\n")]
    async with run_collector(tmp_path, FakeLogServer(lines)) as logs:
        logs.follow((b"hunter22",))
        await logs.archived.get()
        assert await logs.text() == b"the password is ***\n***\n"
        stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"hunter22" not in stored
        assert b"aHVudGVyMjI" not in stored


async def test_no_outlet_of_a_log_has_a_secret(tmp_path: Path) -> None:
    """Live text, archive, first failing line, last line and summary; the secret is cut into two chunks of the log."""
    secret, coloured = b"correct-horse-battery-staple", b"correct-\x1b[01;31mhorse\x1b[m-battery-staple"
    first = timestamped_line(1, b"a.py:3: error: " + coloured + b"\n")
    lines = [first[:50], first[50:], timestamped_line(2, b"last " + base64.b64encode(secret))]
    async with run_collector(tmp_path, FakeLogServer(lines, exit_code=1)) as logs:
        logs.follow((secret,))
        await logs.archived.get()
        result = logs.collector.result(**NAMED)
        assert result is not None
        assert result["firstFailure"]["text"] == "a.py:3: error: ***"
        assert result["lastLine"] == "last ***"
        live = b"".join(block.data for block in logs.collector.hub.open(STREAM, 1, []).ring.tail(1 << 20))
        stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        for outlet in (live, stored, await logs.text(), str(result).encode()):
            assert b"horse" not in outlet
            assert base64.b64encode(secret)[:8] not in outlet


async def test_a_failed_step_tells_its_first_failing_line(tmp_path: Path) -> None:
    async with run_collector(
        tmp_path, FakeLogServer([timestamped_line(1, b"a.py:3: error: bad\n")], exit_code=1)
    ) as logs:
        logs.follow()
        await logs.archived.get()
        result = logs.collector.result(**NAMED)
        assert result is not None
        assert result["firstFailure"] == {"line": 1, "text": "a.py:3: error: bad", "file": "a.py", "fileLine": 3}
        assert result["lastLine"] == "a.py:3: error: bad"


async def test_a_store_that_fails_for_a_while_loses_nothing(tmp_path: Path) -> None:
    async with run_collector(tmp_path, FakeLogServer(numbered(50))) as logs:
        logs.store.failures = 20
        logs.follow()
        await logs.archived.get()
        assert (await logs.text()).count(b"\n") == 50


async def test_write_error_of_one_log_affects_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_writer, "CHUNK_BYTES", 100)
    real, faults = ArchiveWriter.write_chunk, [RuntimeError("a fault of ours")]

    async def faulty(archive: ArchiveWriter, max_bytes: int) -> None:
        if faults:
            raise faults.pop()
        await real(archive, max_bytes)

    monkeypatch.setattr(ArchiveWriter, "write_chunk", faulty)
    async with run_collector(tmp_path, FakeLogServer(numbered(300))) as logs:
        logs.follow()
        logs.follow(slug="other")
        assert {(await logs.archived.get()).slug for _ in range(2)} == {"build", "other"}
        for slug in ("build", "other"):
            result = logs.collector.result(**{**NAMED, "slug": slug})
            assert result is not None
            assert result["lines"] == 300


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=8)), min_size=1, max_size=40),
    st.lists(st.one_of(st.none(), st.integers(0, 900)), max_size=6),
    st.booleans(),
    st.integers(0, 5),
)
async def test_archive_is_complete_despite_broken_streams_and_stores(
    tmp_path_factory: pytest.TempPathFactory,
    printed: list[tuple[int, bytes]],
    breaks: list[int | None],
    ended: bool,
    failures: int,
) -> None:
    """Lines of equal times, whole seconds that come again after a break, and writes that fail."""
    printed = sorted((start, text.replace(b"\n", b"_")) for start, text in printed)
    lines = [timestamped_line(start / 2, text) + b"\n" for start, text in printed]
    written = b"".join(text + b"\n" for _, text in printed)
    if not ended and printed[-1][1]:
        lines[-1], written = lines[-1][:-1], written[:-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_writer, "CHUNK_BYTES", 20)
        async with run_collector(tmp_path_factory.mktemp("logs"), FakeLogServer(lines, breaks=breaks)) as logs:
            logs.store.failures = failures
            logs.follow()
            await logs.archived.get()
            result = logs.collector.result(**NAMED)
            assert result is not None
            assert result["sha256"] == hashlib.sha256(written).hexdigest()
            assert (result["lines"], result["bytes"]) == (len(printed), len(written))
            assert await logs.text() == written


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30), st.integers(0, 900), st.integers(1, 60))
async def test_rotation_leaves_a_visible_gap(
    tmp_path_factory: pytest.TempPathFactory, count: int, start: int, piece: int
) -> None:
    lines = [timestamped_line(number, b"line %04d\n" % number) for number in range(1, count + 1)]
    cluster = FakeLogServer(lines, breaks=[start], rotated=True, piece=piece)
    async with run_collector(tmp_path_factory.mktemp("logs"), cluster) as logs:
        logs.follow()
        await logs.archived.get()
        text = (await logs.text()).splitlines()
        numbers = [int(line[5:]) for line in text if re.fullmatch(rb"line \d{4}", line)]
        gaps = [line for line in text if b"lost" in line]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == count, "what the kubelet still has is there"
        lost = count - len(numbers)
        assert not lost or gaps, f"{lost} lines are lost and nothing says so"


async def test_a_long_log_goes_through_chunks_and_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_writer, "CHUNK_BYTES", 500)
    monkeypatch.setattr(stream_writer, "MAX_PENDING_BYTES", 2000)
    lines = numbered(2000)
    async with run_collector(tmp_path, FakeLogServer(lines, piece=300), LogHub(stream_bytes=3000)) as logs:
        logs.follow()
        await logs.archived.get()
        expected = b"".join(line.partition(b" ")[2] for line in lines)
        assert await logs.text() == expected
        assert await logs.store.get(STREAM.key) == expected
        parts = [parse_key(found.key) async for found in logs.store.list("logs/")]
        assert sorted(part[1] for part in parts if part) == ["", ".json", ".times"]


async def test_a_new_controller_continues_from_the_chunks(tmp_path: Path) -> None:
    lines = numbered(100)
    cluster = FakeLogServer(lines, piece=64, exit_code=1)
    lines[40] = timestamped_line(1.0405, b"a.py:1: error: early\n")
    first = Collection(tmp_path, cluster)
    archive = ArchiveWriter(first.store, STREAM)
    await archive.open()
    reader = Collection(tmp_path / "other", FakeLogServer(lines[:60]))
    running = asyncio.create_task(reader.collector.run())
    reader.follow()
    await reader.archived.get()
    running.cancel()
    async for block in reader.reader.blocks(STREAM):
        archive.add(block)
        await archive.write_chunk(1)
    async with run_collector(tmp_path, cluster) as logs:
        logs.follow()
        await logs.archived.get()
        assert cluster.connections[-1] == "2026-01-01T00:00:01Z"
        expected = b"".join(line.partition(b" ")[2] for line in lines)
        assert await logs.text() == expected
        result = logs.collector.result(**NAMED)
        assert result is not None
        assert result["sha256"] == hashlib.sha256(expected).hexdigest()
        assert result["firstFailure"] == {"line": 41, "text": "a.py:1: error: early", "file": "a.py", "fileLine": 1}


async def test_an_archived_log_is_not_followed_again(tmp_path: Path) -> None:
    cluster = FakeLogServer(numbered(3))
    async with run_collector(tmp_path, cluster) as logs:
        logs.follow()
        await logs.archived.get()
        before = logs.collector.result(**NAMED)
    async with run_collector(tmp_path, cluster) as logs:
        logs.follow()
        await logs.archived.get()
        assert logs.collector.result(**NAMED) == before
        assert len(cluster.connections) == 1


async def test_a_keeper_that_was_stopped_can_begin_again(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    cluster = FakeLogServer(numbered(5), on_connect=wait)
    logs = Collection(tmp_path, cluster)
    for _ in range(2):
        running = asyncio.create_task(logs.collector.run())
        logs.follow()
        while not cluster.connections:
            await asyncio.sleep(0)
        if gate.is_set():
            await logs.archived.get()
        running.cancel()
        await asyncio.wait({running})
        gate.set()
    assert logs.collector.result(**NAMED) is not None
    assert (await logs.text()).count(b"\n") == 5


async def test_deleting_a_run_stops_following_it(tmp_path: Path) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async with run_collector(tmp_path, FakeLogServer([], on_connect=never)) as logs, asyncio.timeout(60):
        logs.follow()
        while not logs.collector.following:
            await asyncio.sleep(0)
        logs.collector.forget("ns", "run-1")
        while logs.collector.following:
            await asyncio.sleep(0)
        with pytest.raises(LogNotFoundError):
            await logs.text()


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
