"""Queries search the displayed text of a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.logs.log_file import LogFile
from workbench.logs.search.matches import MatchIndex
from workbench.logs.search.query import ErrorMatcher, Query, QueryError, is_error, render_plain
from workbench.text.sanitize import sanitize_line, segments

_piece = st.sampled_from(
    ["a", "B", "needle", " ", "\t", "\r", "\x1b[31m", "\x1b[0m", "\x1b[2K", "\x1b]0;t\x07", "\x1b]8;;x\x1b[1m\x07",
     "\x9b1m", "é", "日本", "e\u0301", "e\u0301\u0301\u0301\u0301\u0301", "\u202e", "\ufe0f", "\u200d",
     "\x00", "\x7f", "✓"]
)  # fmt: skip
_lines = st.lists(st.lists(_piece, max_size=8).map("".join), max_size=12)


@given(_lines)
def test_searched_text_is_the_displayed_text(lines: list[str]) -> None:
    data = "\n".join(lines).encode()
    assert render_plain(data).split("\n") == [
        sanitize_line(line, colour=False, limit=None) for line in data.decode().split("\n")
    ]
    assert render_plain(data).split("\n") == [
        "".join(piece.text for piece in segments(line)) for line in data.decode().split("\n")
    ]


def test_invalid_utf8_is_replaced() -> None:
    assert render_plain(b"a\xff\xfeb\nplain") == "a\ufffd\ufffdb\nplain"


def _found(lines: list[str], query: Query, **options: bool) -> list[int]:
    with LogFile() as log:
        log.append(lines)
        matches = MatchIndex(log, query, **options)
        while matches.advance():
            pass
        return list(matches)


def test_colour_codes_are_not_searched() -> None:
    lines = ["\x1b[31mnee\x1b[32mdle\x1b[0m", "nothing", "\x1b]2;needle\x07title"]
    assert _found(lines, Query("needle")) == [0]
    assert _found(lines, Query("31")) == []


def test_overwritten_text_is_not_searched() -> None:
    assert _found(["10%\r20%\r100%", "20%"], Query("20%")) == [1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query("error"), [0, 1]),
        (Query("Error"), [0]),
        (Query("e.r", regex=True), [0, 1]),
        (Query("^err", regex=True), [1]),
        (Query(r"\Serror|\SOOR", regex=True), []),
        (Query(r"r\W", regex=True), [0]),
        (Query("a.b"), [2]),
        (Query("ÄRGER"), [3]),
        (Query("ärger"), [3]),
    ],
)
def test_search_uses_smart_case(query: Query, found: list[int]) -> None:
    assert _found(["an Error here", "error", "a.b", "ÄRGER"], query) == found


@given(st.lists(st.sampled_from(["ok", "error", "an error, error", ""]), max_size=30), st.booleans(), st.booleans())
def test_each_matching_line_is_returned_once(lines: list[str], regex: bool, inverted: bool) -> None:
    expected = [at for at, line in enumerate(lines) if ("error" in line) != inverted]
    assert _found(lines, Query("error", regex), inverted=inverted) == expected


def test_regular_expression_matches_within_a_line() -> None:
    assert _found(["foo", "bar", "foo  bar"], Query(r"foo\s+bar", regex=True)) == [2]


def test_invalid_regular_expression_is_an_error() -> None:
    with pytest.raises(QueryError, match="invalid regular expression"):
        Query("(", regex=True)
    assert _found(["f(", "f"], Query("(")) == [0]


def test_search_continues_while_the_log_grows() -> None:
    with LogFile() as log:
        log.append(["x" * 600_000, "needle", "y" * 600_000, "a needle"])
        matches = MatchIndex(log, Query("needle"))
        while matches.advance():
            pass
        assert list(matches) == [1, 3]
        log.append(["more", "needle"])
        assert not matches.complete
        while matches.advance():
            pass
        assert list(matches) == [1, 3, 5]


def test_next_and_previous_wrap_around() -> None:
    with LogFile() as log:
        log.append(["a", "x", "a", "x"])
        matches = MatchIndex(log, Query("x"))
        while matches.advance():
            pass
        assert (matches.next(1, 1), matches.next(3, 1), matches.next(1, 1, including=True)) == (3, 1, 1)
        assert (matches.next(3, -1), matches.next(1, -1)) == (1, 3)
        assert [matches.count_before(line) for line in range(4)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("line", "tells"),
    [
        ("AssertionError: 2 != 3", True),
        ("ERROR  boom", True),
        ("3 failed, 2 passed", True),
        ("E   KeyError", True),
        ("build_failed", True),
        ("0 errors, 0 failed", False),
        ("no errors", False),
        ("mirror", False),
        ("terrorist", False),
    ],
)
def test_error_lines_are_recognized(line: str, tells: bool) -> None:
    assert is_error(line) is tells
    with LogFile() as log:
        log.append(["fine", line])
        matches = MatchIndex(log, ErrorMatcher())
        while matches.advance():
            pass
        assert list(matches) == ([1] if tells else [])
