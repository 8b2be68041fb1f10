"""Regular expressions that would take for ever are given up; ordinary ones are found and marked."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.logs.search.query import Query, QueryError
from workbench.logs.search.regex import RegexSearch, SlowPatternError, choices_in, create_matcher, find_spans


def test_it_finds_what_the_pattern_finds_here_too() -> None:
    text = "one\nTWO two\n\nthree é\ntwo"
    for pattern in ("two", "TWO", r"\bt\w+", "^$", "é", "(one|three)"):
        search = RegexSearch(Query(pattern, regex=True))
        assert list(search.matching_lines(text)) == list(Query(pattern, regex=True).matching_lines(text)), pattern
        search.close()


def test_a_pattern_without_an_end_is_given_up_and_can_be_followed_by_another_try() -> None:
    search = RegexSearch(Query("(a+)+$", regex=True), seconds=0.3)
    begun = time.monotonic()
    with pytest.raises(SlowPatternError, match="takes too long"):
        search.matching_lines("a" * 64 + "b")
    assert time.monotonic() - begun < 3
    assert list(search.matching_lines("x\naaa")) == [1]
    search.close()


def test_the_process_ends_with_its_search() -> None:
    search = RegexSearch(Query("a", regex=True))
    search.matching_lines("a")
    process = search._process
    assert process is not None
    assert process.poll() is None
    del search
    assert process.returncode is not None


def test_a_text_needs_no_process() -> None:
    query = Query("a.b")
    assert create_matcher(query) is query


@pytest.mark.parametrize(
    ("pattern", "choices"),
    [("abc", 0), ("a.c", 0), ("a.*c", 1), ("a.*c.*d", 2), ("(foo|bar)", 1), ("(a+)+", None), ("(ab|cd)*c", None),
     ("(?=a+)b", 1), (r"(a+)\1", 2), ("a{3}", 0), ("(a{2}b?){3}", None)],
)  # fmt: skip
def test_choices_are_counted_and_those_in_repeats_have_no_bound(pattern: str, choices: int | None) -> None:
    assert choices_in(pattern) == choices


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", ".*.*.*.*=b", "a?" * 24 + "a" * 24])
def test_nothing_is_marked_where_that_might_take_long(pattern: str) -> None:
    begun = time.monotonic()
    assert find_spans(Query(pattern, regex=True), "a" * 5_000) == []
    assert time.monotonic() - begun < 0.2


def test_a_pattern_that_a_later_python_may_read_otherwise_is_read_as_today() -> None:
    query = Query("[[a]b", regex=True)
    assert find_spans(query, "[b ab cb") == [(0, 2), (3, 5)]
    assert list(RegexSearch(query).matching_lines("ab\ncb\n[b")) == [0, 2]


def test_ordinary_patterns_are_marked() -> None:
    assert find_spans(Query(r"\d+ ms", regex=True), "took 31 ms, then 4 ms") == [(5, 10), (17, 21)]
    assert find_spans(Query("MS"), "ms MS") == [(3, 5)]


@given(st.text(alphabet="ab|()*+?{1,}[].^$\\d", max_size=12), st.text(alphabet="ab1", max_size=300))
def test_marking_is_always_quick(pattern: str, text: str) -> None:
    try:
        query = Query(pattern, regex=True)
    except QueryError:
        return
    begun = time.monotonic()
    find_spans(query, text)
    assert time.monotonic() - begun < 1
