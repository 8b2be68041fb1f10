"""Pieces become numbered lines, whole and each once."""

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.command_mark import CommandMark
from controller.logs.collect.line_numbering import LineNumberer
from controller.logs.collect.mark_reader import MarkReader
from controller.logs.live.ring_buffer import RingBuffer
from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.patterns import SecretPatterns
from controller.logs.model import UNKNOWN_TIME, Block, CommandStart
from controller.logs.timestamps import ParsedChunk


def piece(data: bytes, *times: int) -> ParsedChunk:
    return ParsedChunk(data, array("q", times))


def numberer(limit: int = 1000, secrets: tuple[bytes, ...] = ()) -> LineNumberer:
    return LineNumberer(SecretMasker(SecretPatterns(secrets)), line_limit=limit)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=9).map(lambda t: t.replace(b"\n", b"")), max_size=12), st.booleans(), st.data())
def test_lines_are_numbered_consecutively(texts: list[bytes], ended: bool, data: st.DataObject) -> None:
    stream = b"\n".join(texts) + b"\n" * (ended and bool(texts))
    lines = stream.split(b"\n")[: stream.count(b"\n") + (not stream.endswith(b"\n") and bool(stream))]
    number = numberer()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    blocks, started = [], 0
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        until = stream[:end].count(b"\n") + (not stream[:end].endswith(b"\n") and end > 0)
        blocks.append(number.add(piece(stream[begin:end], *range(started, until))))
        started = max(started, until)
    blocks.append(number.end())
    found = [line for block in blocks if block is not None for line in block.lines()]
    assert [line.number for line in found] == list(range(1, len(lines) + 1))
    assert [line.data for line in found] == lines
    assert [line.time_ns for line in found] == list(range(len(lines)))
    assert b"".join(block.data for block in blocks if block is not None) == stream


def test_a_whole_line_goes_on_at_once() -> None:
    block = numberer().add(piece(b"first\nsec", 1, 2))
    assert block is not None
    assert block.data == b"first\n"


def test_a_line_without_end_is_cut_visibly() -> None:
    number = numberer(limit=10)
    assert number.add(piece(b"x" * 100_000, 1)) is None
    block = number.add(piece(b"yz\nnext\n", 2))
    assert block is not None
    assert block.lines()[0].data.startswith(b"x" * 10 + b" [c8s: 99992 more bytes")
    assert block.lines()[1].data == b"next"
    assert number.gaps == 1


def test_secret_is_masked_in_an_unfinished_line() -> None:
    number = numberer(limit=10**6, secrets=(b"hunter22",))
    number.add(piece(b"a" * 65_530 + b" hunt", 1))
    block = number.add(piece(b"er22!\n"))
    assert block is not None
    assert block.data == b"a" * 65_530 + b" ***!\n"


def test_a_gap_is_a_line_of_its_own() -> None:
    number = numberer()
    number.add(piece(b"half", 1))
    block = number.gap("lost")
    assert [line.data for line in block.lines()] == [b"half", b"[c8s: lost]"]
    assert list(block.times) == [1, UNKNOWN_TIME]
    after = number.add(piece(b"on\n", 5))
    assert after is not None
    assert after.first == 3


def block(first: int, *texts: bytes) -> Block:
    return Block(first, array("q", [0] * len(texts)), b"".join(text + b"\n" for text in texts))


def test_a_full_ring_drops_its_oldest_blocks() -> None:
    ring = RingBuffer(limit=60)
    for number in range(1, 9):
        ring.append(block(number, b"0123456789"))
    assert (ring.first, ring.end) == (6, 9)
    found = ring.since(1, 1000)
    assert found is not None
    assert found.first == 6
    assert ring.since(9, 1000) is None


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.data())
def test_ring_buffer_reads_from_any_line(sizes: list[int], data: st.DataObject) -> None:
    ring = RingBuffer()
    for size in sizes:
        ring.append(block(ring.end, *[str(ring.end + offset).encode() for offset in range(size)]))
    number = data.draw(st.integers(1, ring.end - 1))
    found = ring.since(number, 10**6)
    assert found is not None
    assert [int(line.data) for line in found.lines()] == list(range(number, ring.end))
    until = data.draw(st.integers(number, ring.end))
    assert [line.number for line in found.until_line(until).lines()] == list(range(number, until))


MARK = CommandMark.of_attempt("1f0c", "build", 1)
OTHER = CommandMark.of_attempt("1f0c", "build", 2)


def mark(index: int, of: CommandMark = MARK) -> bytes:
    return f"{of.prefix}{index}{of.suffix}\n".encode()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.binary(max_size=9).map(lambda text: text.replace(b"\x1b", b"").replace(b"\r", b"")) | st.integers(0, 9),
        max_size=12,
    ),
    st.data(),
)
def test_marks_are_removed_and_their_lines_reported(parts: list[bytes | int], data: st.DataObject) -> None:
    stream, expected, commands = b"", b"", []
    for part in parts:
        if isinstance(part, bytes):
            stream, expected = stream + part, expected + part
            continue
        stream += mark(part)
        if expected and not expected.endswith(b"\n"):
            expected += b"\n"
        if not commands or part > commands[-1][0]:
            commands.append((part, expected.count(b"\n") + 1))
    number = LineNumberer(SecretMasker(SecretPatterns((b"secret-that-holds-back",))), marks=MarkReader(MARK))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    blocks, started = [], 0
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        until = stream[:end].count(b"\n") + (not stream[:end].endswith(b"\n") and end > 0)
        blocks.append(number.add(piece(stream[begin:end], *range(started, until))))
        started = max(started, until)
    blocks.append(number.end())
    assert b"".join(block.data for block in blocks if block is not None) == expected
    found = number.take_commands()
    assert [(command.command, command.line) for command in found] == commands
    lines = [line for block in blocks if block is not None for line in block.lines()]
    # The time of a line in this test is its index among the lines of the stream.
    kept = [index for index, line in enumerate(stream.splitlines(keepends=True)) if not line.startswith(b"\x1b")]
    assert [line.time_ns for line in lines] == kept


def test_mark_of_another_attempt_is_output() -> None:
    number = LineNumberer(SecretMasker(SecretPatterns(())), marks=MarkReader(MARK))
    block = number.add(piece(mark(0, OTHER) + mark(1), 1, 2))
    assert block is not None
    assert block.data == mark(0, OTHER)
    assert number.take_commands() == [CommandStart(1, 2, 2)]


def test_mark_after_a_long_unfinished_line_is_removed() -> None:
    number = LineNumberer(SecretMasker(SecretPatterns(())), marks=MarkReader(MARK))
    marked = mark(3)
    blocks = [number.add(piece(b"x" * 65_530 + marked[:10], 1)), number.add(piece(marked[10:] + b"next\n", 2))]
    assert b"".join(block.data for block in blocks if block is not None) == b"x" * 65_530 + b"\nnext\n"
    assert number.take_commands() == [CommandStart(3, 2, 1)]
