"""The commands of a step, which are marked in its stream."""

from pathlib import Path

import pytest

from controller.logs import (
    CommandStart,
    LogReader,
)
from controller.logs.archive.writer import ArchiveWriter
from controller.logs.collect.line_numbering import LineNumberer
from controller.logs.collect.mark_reader import MarkReader
from controller.logs.live.hub import LogHub
from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.patterns import SecretPatterns
from controller.logs.timestamps import TimestampParser
from tests.unit.controller.logs.collection import MARK, NAMED, STREAM, Collection, mark, run_collector
from tests.unit.controller.logs.fakes import FakeLogServer, timestamped_line


async def test_commands_are_kept_in_the_summary_and_not_in_the_text(tmp_path: Path) -> None:
    lines = [timestamped_line(1, mark(0)), timestamped_line(2, b"one\n"), timestamped_line(3, mark(1))]
    async with run_collector(tmp_path, FakeLogServer(lines, exit_code=1)) as logs:
        logs.follow()
        await logs.archived.get()
        assert await logs.text() == b"one\n"
        result = logs.collector.result(**NAMED)
        assert result is not None
        assert result["lastCommand"] == 1
        live = await logs.reader.commands(STREAM)
    archived = await LogReader(LogHub(), logs.store).commands(STREAM)
    second = 1767225600 * 10**9
    assert live == archived == (CommandStart(0, 1, second + 10**9), CommandStart(1, 2, second + 3 * 10**9))


@pytest.mark.parametrize("stored", range(1, 9))
async def test_new_controller_continues_between_commands(tmp_path: Path, stored: int) -> None:
    """Whichever lines an earlier process has stored: no line and no command is lost or comes twice."""
    texts = [mark(0), b"a\n", mark(1), mark(2), b"b\n", b"c\n", mark(3), b"d\n", mark(4)]
    lines = [timestamped_line(1 + number / 4, text) for number, text in enumerate(texts)]
    cluster = FakeLogServer(lines, piece=64, running_until_connection=2)
    earlier = Collection(tmp_path, cluster)
    archive = ArchiveWriter(earlier.store, STREAM)
    await archive.open()
    numberer = LineNumberer(SecretMasker(SecretPatterns(())), marks=MarkReader(MARK))
    for line in lines[:stored]:
        block = numberer.add(TimestampParser().feed(line))
        archive.commands += numberer.take_commands()
        if block is not None:
            archive.add(block)
            await archive.write_chunk(1)
    async with run_collector(tmp_path, cluster) as logs:
        logs.follow()
        await logs.archived.get()
        assert await logs.text() == b"a\nb\nc\nd\n"
        commands = await logs.reader.commands(STREAM)
    assert [(each.command, each.line) for each in commands] == [(0, 1), (1, 2), (2, 2), (3, 4), (4, 5)]
