"""Lines of context around the matches of a filter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from workbench.logs.log_file import LogFile
from workbench.logs.search.context import ContextIndex, FilterInput, parse_filter
from workbench.logs.search.query import Query


@pytest.fixture
def log() -> Iterator[LogFile]:
    with LogFile() as opened:
        yield opened


def _index(log: LogFile, lines: list[str], context: int) -> ContextIndex:
    log.append(lines)
    index = ContextIndex(log, Query("x"), context=context)
    while index.advance():
        pass
    return index


@pytest.mark.parametrize("context", [0, 1, 2, 5, 100])
def test_rows_are_the_matches_and_the_lines_around_them(log: LogFile, context: int) -> None:
    matches = {0, 7, 8, 13, 29}
    index = _index(log, ["x" if at in matches else "-" for at in range(30)], context)
    expected = [at for at in range(30) if any(abs(at - match) <= context for match in matches)]
    assert [index.line_at(row) for row in range(index.row_count)] == expected
    for line in range(30):
        assert index.row_of(line) == sum(each < line for each in expected)
    assert [at for at in expected if index.is_match(at)] == sorted(matches)


def test_context_grows_with_the_log(log: LogFile) -> None:
    log.append(["-", "x"])
    index = ContextIndex(log, Query("x"), context=2)
    index.advance()
    assert index.row_count == 2
    log.append(["-", "-", "-", "x"])
    assert index.row_count == 4, "lines behind the last match are shown as they come"
    index.advance()
    assert [index.line_at(row) for row in range(index.row_count)] == [0, 1, 2, 3, 4, 5]


def test_filter_without_matches_has_no_rows(log: LogFile) -> None:
    index = _index(log, ["-"] * 3, 2)
    assert index.row_count == 0
    assert index.row_of(2) == 0


@pytest.mark.parametrize(
    ("typed", "parsed"),
    [
        ("error", FilterInput("error")),
        ("!error", FilterInput("error", inverted=True)),
        ("-C 3 error", FilterInput("error", context=3)),
        ("-C3 !a b", FilterInput("a b", inverted=True, context=3)),
        ("-Cx", FilterInput("-Cx")),
        ("-C 9999 x", FilterInput("x", context=1000)),
        ("", FilterInput("")),
    ],
)
def test_filter_input_is_parsed(typed: str, parsed: FilterInput) -> None:
    assert parse_filter(typed) == parsed
