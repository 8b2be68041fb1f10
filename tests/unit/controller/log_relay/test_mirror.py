"""The leader's hub, sent over the wire and rebuilt: the same lines, whatever happens in between."""

import array
import asyncio
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.log_relay.chunk_fallback import read_stored_chunks
from controller.log_relay.errors import RelayProtocolError
from controller.log_relay.protocol import (
    ChunksStored,
    CommandsAdded,
    Decoder,
    Heartbeat,
    LinesAppended,
    Message,
    PartialLineChanged,
    RunDropped,
    SnapshotEnd,
    StreamArchived,
    StreamEnded,
    StreamOpened,
    encode,
)
from controller.log_relay.publisher import RunLogPublisher
from controller.log_relay.replica import HubReplica
from controller.logs.archive.chunk import pack
from controller.logs.live.hub import ChunkRef, LogHub
from controller.logs.model import UNKNOWN_TIME, Block, CommandStart, Lines, MissedLines, PartialLine, Stream, StreamEnd
from controller.logs.reader import LogReader
from controller.storage import DirectoryStore

STREAM = Stream("ns", "run-1", "build", 1, "step")
CHUNK = ChunkRef(STREAM.chunk_key(0), 1, 3, 12)
COMMANDS = (CommandStart(0, 1, 10), CommandStart(1, 3, UNKNOWN_TIME))


def block(first: int, *texts: str) -> Block:
    return Block(first, array.array("q", range(len(texts))), "".join(f"{text}\n" for text in texts).encode())


def numbers(first: int, end: int) -> Block:
    return block(first, *(f"line {number}" for number in range(first, end)))


def text(hub: LogHub) -> bytes:
    log = hub.get(STREAM)
    assert log is not None
    found = log.ring.since(log.ring.first, 10**9)
    return b"" if found is None else found.data


async def published_messages(
    hub: LogHub, have: dict[Stream, int] | None = None, *, partial_lines: bool = False
) -> list[Message]:
    """All that a mirror receives at once."""
    found = []
    feed = RunLogPublisher(hub, "ns", "run-1", have or {}, lambda: True, partial_lines=partial_lines)
    async with aclosing(feed.messages()) as messages:
        async for message in messages:
            found.append(message)
            if isinstance(message, SnapshotEnd):
                return found
    raise AssertionError("the picture never ended")


MESSAGES: list[Message] = [
    StreamOpened(STREAM, 3, (CHUNK,), COMMANDS),
    CommandsAdded(STREAM, COMMANDS),
    ChunksStored(STREAM, (CHUNK,)),
    LinesAppended(STREAM, block(3, "a", "\xff\x00")),
    PartialLineChanged(STREAM, PartialLine(5, UNKNOWN_TIME, b"90%\xff")),
    StreamEnded(STREAM, 5),
    StreamArchived(STREAM, 5, COMMANDS),
    RunDropped(),
    SnapshotEnd(),
    Heartbeat(),
]


@given(st.lists(st.sampled_from(MESSAGES), max_size=6), st.integers(1, 50))
def test_messages_survive_the_wire_however_it_is_cut(messages: list[Message], piece: int) -> None:
    wire = b"".join(map(encode, messages))
    decoder = Decoder("ns", "run-1")
    assert [m for at in range(0, len(wire), piece) for m in decoder.feed(wire[at : at + piece])] == messages


@given(st.binary(min_size=8, max_size=200))
def test_malformed_messages_are_protocol_errors(junk: bytes) -> None:
    with suppress(RelayProtocolError):
        assert Decoder("ns", "run-1").feed(junk) == []


async def test_mirror_receives_chunk_references_and_later_lines() -> None:
    hub = LogHub()
    log = hub.open(STREAM, 1, [])
    hub.publish(log, numbers(1, 6))
    log.chunks.append(CHUNK)
    assert await published_messages(hub) == [
        StreamOpened(STREAM, 3, (CHUNK,)),
        LinesAppended(STREAM, numbers(1, 6).from_line(3)),
        SnapshotEnd(),
    ]
    assert await published_messages(hub, {STREAM: 5}) == [
        StreamOpened(STREAM, 5, (CHUNK,)), LinesAppended(STREAM, numbers(1, 6).from_line(5)), SnapshotEnd()
    ]  # fmt: skip


async def test_mirror_learns_of_commands_once_each() -> None:
    hub, mirror = LogHub(), LogHub()
    log = hub.open(STREAM, 1, [], COMMANDS[:1])
    replica = HubReplica(mirror, "ns", "run-1")
    for message in await published_messages(hub):
        replica.apply(message)
    hub.add_commands(log, COMMANDS)
    for message in await published_messages(hub):
        replica.apply(message)
    mirrored = mirror.get(STREAM)
    assert mirrored is not None
    assert mirrored.commands == list(COMMANDS)


async def test_mirror_that_asks_for_it_has_the_unfinished_line() -> None:
    hub, mirror, partial = LogHub(), LogHub(), PartialLine(3, 7, b"90%")
    log = hub.open(STREAM, 1, [])
    hub.publish(log, numbers(1, 3))
    hub.set_partial(log, partial)
    assert not any(isinstance(message, PartialLineChanged) for message in await published_messages(hub))
    replica = HubReplica(mirror, "ns", "run-1")
    for message in await published_messages(hub, partial_lines=True):
        replica.apply(message)
    copy = mirror.get(STREAM)
    assert copy is not None
    assert copy.partial == partial
    replica.apply(LinesAppended(STREAM, numbers(3, 4)))
    assert copy.partial is None
    replica.apply(PartialLineChanged(STREAM, partial))
    assert copy.partial is None, "the line has ended"


async def test_archived_log_is_referenced_without_lines() -> None:
    hub = LogHub()
    log = hub.open(STREAM, 1, [])
    hub.publish(log, numbers(1, 6))
    hub.mark_archived(log)
    assert await published_messages(hub) == [StreamOpened(STREAM, 6), StreamArchived(STREAM, 6), SnapshotEnd()]


async def test_a_feed_ends_when_its_operator_no_longer_leads() -> None:
    leading = [True]

    async def stepped_down(_: float) -> None:
        leading[0] = False

    hub = LogHub()
    feed = RunLogPublisher(hub, "ns", "run-1", {}, lambda: leading[0], sleep=stepped_down)
    async with asyncio.timeout(60):
        kinds = [type(message) async for message in feed.messages()]
    assert kinds == [SnapshotEnd, Heartbeat]
    assert hub.subscribers == 0


async def test_a_run_that_the_leader_forgets_is_forgotten() -> None:
    hub, mirror = LogHub(), LogHub()
    hub.publish(hub.open(STREAM, 1, []), numbers(1, 3))
    replica = HubReplica(mirror, "ns", "run-1")
    feed = RunLogPublisher(hub, "ns", "run-1", {}, lambda: True)
    async with asyncio.timeout(60), aclosing(feed.messages()) as messages:
        async for message in messages:
            replica.apply(message)
            if isinstance(message, SnapshotEnd):
                assert text(mirror) == numbers(1, 3).data
                hub.forget("ns", "run-1")
            if isinstance(message, RunDropped):
                break
    assert mirror.get(STREAM) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=8))
def test_each_line_arrives_once_across_leaders(turns: list[tuple[int, int]]) -> None:
    """Each leader begins again at some chunk's end that is no later than what was sent, and sends some lines."""
    hub = LogHub()
    known = 1
    for back, more in turns:
        replica = HubReplica(hub, "ns", "run-1")
        begin = max(1, known - back)
        replica.apply(StreamOpened(STREAM, begin))
        for first in range(begin, begin + more, 7):
            replica.apply(LinesAppended(STREAM, numbers(first, min(first + 7, begin + more))))
        known = max(known, begin + more)
        assert text(hub) == numbers(1, known).data


def test_lines_that_leave_a_hole_are_refused() -> None:
    replica = HubReplica(LogHub(), "ns", "run-1")
    replica.apply(StreamOpened(STREAM, 1))
    with pytest.raises(RelayProtocolError):
        replica.apply(LinesAppended(STREAM, numbers(5, 7)))


def test_stream_unknown_to_a_new_leader_is_unconfirmed() -> None:
    hub = LogHub()
    HubReplica(hub, "ns", "run-1").apply(StreamOpened(STREAM, 1))
    second = HubReplica(hub, "ns", "run-1")
    assert second.unconfirmed() == [STREAM]
    second.apply(StreamArchived(STREAM, 8))
    assert second.unconfirmed() == []
    log = hub.get(STREAM)
    assert log is not None
    assert (log.archived, log.ring.end) == (True, 8)


async def test_reader_reads_chunks_while_there_is_no_leader(tmp_path: Path) -> None:
    """Lines 1 and 2 came live, 3 to 5 while no leader was connected, 6 from the next leader: no line is missed."""
    store, hub = DirectoryStore(tmp_path, b"k" * 32, "http://x"), LogHub()
    replica = HubReplica(hub, "ns", "run-1")
    replica.apply(StreamOpened(STREAM, 1))
    replica.apply(LinesAppended(STREAM, numbers(1, 3)))
    finished = asyncio.Event()
    seen: list[int] = []
    async with asyncio.timeout(60), aclosing(
        LogReader(hub, store).follow_run("ns", "run-1", finished=finished)
    ) as frames:  # fmt: skip
        async for frame in frames:
            assert not isinstance(frame, MissedLines)
            if isinstance(frame, Lines):
                seen += [line.number for line in frame.lines]
            if seen == [1, 2]:
                await store.put(STREAM.chunk_key(0), pack(numbers(1, 6), 0))
                parts, whole = await read_stored_chunks(store, "ns", "run-1", {})
                assert whole == set()
                replica.apply(StreamOpened(STREAM, parts[STREAM][-1].end, tuple(parts[STREAM])))
                seen.append(0)
            elif seen == [1, 2, 0, 3, 4, 5]:
                replica.apply(LinesAppended(STREAM, numbers(6, 7)))
                replica.apply(StreamEnded(STREAM, 7))
                finished.set()
            if isinstance(frame, StreamEnd):
                assert frame.lines == 6
    assert seen == [1, 2, 0, 3, 4, 5, 6]
