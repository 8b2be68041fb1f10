"""A log file returns the appended lines and needs little memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.logs.log_file import LogFile, LogFileError

_line = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.lists(_line, max_size=5), max_size=8), st.integers(0, 20), st.integers(0, 20))
def test_read_returns_the_appended_lines(batches: list[list[str]], first: int, count: int) -> None:
    with LogFile() as log:
        for batch in batches:
            log.append(batch)
        lines = [line for batch in batches for line in batch]
        assert len(log) == len(lines)
        assert log.read(first, count) == lines[first : first + count]


def test_newline_inside_a_line_is_replaced() -> None:
    with LogFile() as log:
        log.append(["one\ntwo", "three"])
        assert log.read(0, 9) == ["one␊two", "three"]


def test_known_times_are_stored() -> None:
    with LogFile() as log:
        log.append(["a", "b"], [1_700_000_000_000_000, None])
        log.append(["c"])
        assert [log.time(at) for at in range(3)] == [1_700_000_000_000_000, None, None]


def test_a_million_lines_take_at_most_20_bytes_of_memory_each() -> None:
    with LogFile() as log:
        for _ in range(100):
            log.append(["x" * 20] * 10_000)
        assert len(log) == 1_000_000
        assert log.memory <= 20 * len(log)
        assert log.read(999_999, 5) == ["x" * 20]


@given(st.lists(_line, max_size=20), st.integers(0, 20), st.integers(1, 50))
def test_blocks_consist_of_whole_lines(lines: list[str], split: int, size: int) -> None:
    with LogFile() as log:
        for part in (lines[:split], lines[split:]):
            log.extend("".join(f"{line}\n" for line in part).encode())
        assert log.read(0, 99) == lines
        first, blocks = 0, b""
        while first < len(log):
            block, until = log.block(first, size)
            assert block == "".join(f"{line}\n" for line in lines[first:until]).encode()
            first, blocks = until, blocks + block
        assert len(blocks) == log.size
        assert log.block(first) == (b"", first)


def test_incomplete_last_line_is_rejected() -> None:
    with LogFile() as log, pytest.raises(ValueError, match="newline"):
        log.extend(b"half a line")


def test_first_at_finds_the_first_line_not_earlier() -> None:
    with LogFile() as log:
        log.append(["a", "b", "c", "d"], [10, None, 30, 30])
        assert [log.first_at(moment) for moment in (5, 10, 11, 30, 31)] == [0, 0, 2, 2, None]


def test_times_can_be_set_later() -> None:
    with LogFile() as log:
        log.append(["a", "b", "c"])
        assert not log.has_times
        log.set_times(1, [7, None, 9])
        assert [log.time(at) for at in range(3)] == [None, 7, None]
        assert log.has_times


def test_log_file_is_unlinked(tmp_path: Path) -> None:
    with LogFile(tmp_path) as log:
        log.append(["secret"])
        assert list(tmp_path.iterdir()) == []


def test_error_names_the_unusable_folder(tmp_path: Path) -> None:
    with pytest.raises(LogFileError, match="no-such-folder"):
        LogFile(tmp_path / "no-such-folder")
