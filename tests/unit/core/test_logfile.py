"""Lines come back as they were put in, from wherever one looks, and cost next to no memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.core.logfile import LogFile, LogFileError

_line = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.lists(_line, max_size=5), max_size=8), st.integers(0, 20), st.integers(0, 20))
def test_a_window_shows_the_lines_that_were_appended(batches: list[list[str]], first: int, count: int) -> None:
    with LogFile() as log:
        for batch in batches:
            log.append(batch)
        lines = [line for batch in batches for line in batch]
        assert len(log) == len(lines)
        assert log.read(first, count) == lines[first : first + count]


def test_a_newline_inside_a_line_does_not_make_two() -> None:
    with LogFile() as log:
        log.append(["one\ntwo", "three"])
        assert log.read(0, 9) == ["one␊two", "three"]


def test_times_are_kept_where_they_are_known() -> None:
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


@given(st.lists(st.sampled_from(["ok", "error", "an error, error", ""]), max_size=30), st.integers(0, 30))
def test_find_gives_each_line_that_holds_the_pattern_once(lines: list[str], first: int) -> None:
    with LogFile() as log:
        log.append(lines)
        expected = [at for at, line in enumerate(lines) if "error" in line and at >= first]
        assert list(log.find(re.compile(b"error"), first)) == expected


def test_find_works_over_blocks_larger_than_what_is_read_at_once() -> None:
    with LogFile() as log:
        log.append(["x" * 2_000_000, "needle", "y" * 1_500_000, "a needle"])
        assert list(log.find(re.compile(b"needle"))) == [1, 3]


def test_nothing_of_a_log_is_left_on_disk(tmp_path: Path) -> None:
    with LogFile(tmp_path) as log:
        log.append(["secret"])
        assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogFileError, match="no-such-folder"):
        LogFile(tmp_path / "no-such-folder")
