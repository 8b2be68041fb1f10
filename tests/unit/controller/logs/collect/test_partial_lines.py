"""What an unfinished line shows: its last state, masked, at a bounded rate."""

import asyncio
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.command_mark import CommandMark
from controller.logs import LinePart, Lines
from controller.logs.collect.line_numbering import LineNumberer, last_state
from controller.logs.collect.mark_reader import MarkReader
from controller.logs.collect.partial_lines import INTERVAL, UNREAD_INTERVAL, PartialLines
from controller.logs.live.hub import LogHub
from controller.logs.masking.control_sequences import strip_controls
from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.patterns import SecretPatterns
from controller.logs.model import PartialLine
from controller.logs.timestamps import ParsedChunk
from tests.unit.controller.logs.collection import STREAM, collect, run_collector
from tests.unit.controller.logs.fakes import FakeLogServer, timestamped_line

SECRET = b"tr0ub4dor&3-horse"
KEY = b"-----BEGIN KEY-----\nMIIBVgIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"


def numberer(*secrets: bytes, limit: int = 1_000_000, marks: MarkReader | None = None) -> LineNumberer:
    return LineNumberer(SecretMasker(SecretPatterns(secrets)), line_limit=limit, marks=marks)


def piece(data: bytes, *times: int) -> ParsedChunk:
    return ParsedChunk(data, array("q", times))


def shown(number: LineNumberer) -> bytes | None:
    partial = number.partial()
    return None if partial is None else partial.data


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (b"", b""),
        (b"10%", b"10%"),
        (b"10%\r", b"10%"),
        (b"10%\r 20%", b" 20%"),
        (b"\r10%\r\r", b"10%"),
        (b"10%\r\x1b[K", b"10%"),
        (b"10%\r\x1b[2K\r\x1b[32m20%\x1b[0m", b"\x1b[32m20%\x1b[0m"),
        (b"   \r", b""),
    ],
)
def test_state_is_the_text_after_the_last_carriage_return(line: bytes, state: bytes) -> None:
    assert last_state(line) == state


def test_unfinished_line_has_the_number_and_time_that_it_will_have() -> None:
    number = numberer()
    assert number.partial() is None
    number.add(piece(b"first\n 10%\r", 1, 2))
    assert number.partial() == PartialLine(2, 2, b" 10%")
    number.add(piece(b" 20%"))
    assert number.partial() == PartialLine(2, 2, b" 20%")
    block = number.add(piece(b"\r100%\n"))
    assert block is not None
    assert block.data == b" 10%\r 20%\r100%\n", "the archive has all states"
    assert number.partial() is None


@pytest.mark.parametrize("secrets", [(), (SECRET,)])
def test_progress_of_a_long_line_goes_on(secrets: tuple[bytes, ...]) -> None:
    number = numberer(*secrets, limit=200_000)
    for done in range(100_000):
        number.add(piece(b"\r%d of 100000 items" % done, *([7] if done == 0 else [])))
        if done % 9_999 == 0:
            assert number.partial() == PartialLine(1, 7, b"%d of 100000 items" % done)
    block = number.add(piece(b"\n"))
    assert block is not None
    assert len(block.data) < 210_000
    assert last_state(block.data[:-1]).startswith(b"99999 of 100000 items [c8s: "), "its end is kept"


def test_state_is_short_however_long_the_line() -> None:
    number = numberer()
    number.add(piece(b"x" * 300_000, 1))
    assert len(shown(number) or b"") == 4096


_PARTS = (
    SECRET,
    SECRET[:5],
    SECRET[5:],
    b"10% ",
    b"\x1b[31m",
    b"\x1b[0m",
    b" ",
    b"50",
    b"%",
    b"tr",
    SECRET.hex().encode(),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_PARTS), max_size=12), st.integers(1, 9))
def test_no_state_has_a_part_of_a_secret(parts: list[bytes], size: int) -> None:
    line, number = b"".join(parts), numberer(SECRET)
    masker = SecretMasker(SecretPatterns((SECRET,)))
    whole = masker.feed(line + b"\n") + masker.flush()
    for at in range(0, len(line), size):
        number.add(piece(line[at : at + size]))
        # What is shown is the beginning of what is stored: there is nothing in it that is masked when the line ends.
        assert whole.startswith(shown(number) or b"")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from((*_PARTS, b"\r", b"\n", b"x\x08")), max_size=12), st.integers(1, 9))
def test_no_state_of_a_line_that_is_written_again_has_a_secret(parts: list[bytes], size: int) -> None:
    stream, number = b"".join(parts), numberer(SECRET)
    for at in range(0, len(stream), size):
        number.add(piece(stream[at : at + size]))
        text = strip_controls(shown(number) or b"")
        assert SECRET not in text
        assert SECRET.hex().encode() not in text


@pytest.mark.parametrize("text", [b"50%", b" 42% 13/31 MB", b"45/100", b"  1024", b"[####  ] 3 of 7"])
def test_state_that_is_complete_is_shown_whole(text: bytes) -> None:
    number = numberer(SECRET, KEY)
    number.add(piece(text + b"\r"))
    assert shown(number) == text
    number.add(piece(b"\r\r9"))
    assert shown(number) == text
    number.add(piece(b"\r" + SECRET[:6] + b"\r"))
    assert shown(number) == b"9", "this may go on"


def test_secret_in_colours_is_not_shown_before_its_line_ends() -> None:
    number, written = numberer(SECRET), b"key: \x1b[1m" + SECRET[:4] + b"\x1b[0m" + SECRET[4:] + b" ok"
    states = []
    for at in range(len(written)):
        number.add(piece(written[at : at + 1]))
        states.append(strip_controls(shown(number) or b""))
    assert states[-1] == b"key: *** ok"
    assert set(states) <= {
        b"",
        b"key: ***",
        b"key: *** ",
        b"key: *** o",
        b"key: *** ok",
        *(b"key: "[:n] for n in range(6)),
    }


def test_lines_of_a_secret_of_several_lines_are_not_shown() -> None:
    number = numberer(KEY)
    for at in range(len(KEY) - 1):
        number.add(piece(KEY[at : at + 1]))
        assert shown(number) in (None, b""), KEY[: at + 1]


def test_mark_of_a_command_is_not_shown() -> None:
    mark = CommandMark.of_attempt("run", "step", 1)
    written = f"\x1b[32m50%\x1b[0m{mark.prefix}1{mark.suffix}\n".encode()
    number = numberer(marks=MarkReader(mark))
    for at in range(len(written) - 1):
        number.add(piece(written[at : at + 1]))
        assert mark.nonce[:2].encode() not in (shown(number) or b"")


class _Sleeper:
    """A sleep that lasts until the test lets it end."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.waiting: list[asyncio.Event] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.waiting.append(asyncio.Event())
        await self.waiting[-1].wait()

    async def end(self) -> None:
        self.waiting.pop().set()
        for _ in range(3):
            await asyncio.sleep(0)


async def test_states_are_published_at_a_bounded_rate() -> None:
    hub, sleeper, number = LogHub(), _Sleeper(), numberer()
    log = hub.open(STREAM, 1, [])
    async with asyncio.TaskGroup() as group:
        partial_lines = PartialLines(number, log, hub, group, sleeper)
        for done in range(1000):
            number.add(piece(b"%d\r" % done, *([1] if done == 0 else [])))
            partial_lines.output_came()
        await asyncio.sleep(0)
        assert sleeper.asked == [UNREAD_INTERVAL]
        assert log.partial is None
        await sleeper.end()
        assert log.partial == PartialLine(1, 1, b"999")
        hub.subscribe("ns", "run-1")
        number.add(piece(b"1000\r"))
        partial_lines.output_came()
        await asyncio.sleep(0)
        assert sleeper.asked == [UNREAD_INTERVAL, INTERVAL]
        block = number.add(piece(b"done\n"))
        assert block is not None
        hub.publish(log, block)
        await sleeper.end()
        assert log.partial is None, "the line has ended meanwhile"
        partial_lines.close()


async def test_readers_that_ask_for_it_see_the_last_state(tmp_path: Path) -> None:
    hub, release = LogHub(), asyncio.Event()
    lines = [timestamped_line(1, b"one\n"), timestamped_line(2, b"10%\r90%")]
    cluster = FakeLogServer(lines, running_until_connection=2)

    async def wait_before_the_second() -> None:
        if len(cluster.connections) == 2:
            cluster.lines = [*lines[:1], timestamped_line(2, b"10%\r90%\r100%\n")]
            await release.wait()

    cluster.on_connect = wait_before_the_second
    async with run_collector(tmp_path, cluster, hub) as logs, asyncio.timeout(60):
        finished = asyncio.Event()
        asking = asyncio.create_task(collect(logs, finished, partial_lines=True))
        other = asyncio.create_task(collect(logs, finished))
        logs.follow()
        while (log := hub.get(STREAM)) is None or log.partial is None:
            await asyncio.sleep(0.001)
        release.set()
        await logs.archived.get()
        finished.set()
        frames, others = await asking, await other
    states = [frame.line.data for frame in frames if isinstance(frame, LinePart)]
    assert states == [b"90%"]
    whole = [line.data for frame in frames if isinstance(frame, Lines) for line in frame.lines]
    assert whole == [b"one", b"10%\r90%\r100%"]
    assert not any(isinstance(frame, LinePart) for frame in others)
