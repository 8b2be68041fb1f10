"""Regular expressions match within lines, in linear time, and invalid ones are errors."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from tests.support.processor_time import takes_at_most
from workbench.logs.search.query import Query, QueryError
from workbench.logs.search.regex import Regex, RegexError

_PATTERN = st.text(alphabet="ab|()*+?{1,}[].^$\\dwA\u00e9", max_size=10)


def compile_or_none(pattern: str, *, case_sensitive: bool = True) -> Regex | None:
    try:
        return Regex(pattern, case_sensitive=case_sensitive)
    except RegexError:
        return None


@given(_PATTERN.filter(lambda pattern: "\\A" not in pattern), st.text(alphabet="abA1 \u00e9\n", max_size=60))
def test_whole_text_search_equals_line_by_line_search(pattern: str, text: str) -> None:
    regex = compile_or_none(pattern)
    if regex is None:
        return
    options = re2.Options()
    options.log_errors = False
    compiled = re2.compile(pattern, options)
    expected = [number for number, line in enumerate(text.split("\n")) if compiled.search(line)]
    assert list(regex.matching_lines(text)) == expected


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", ".*.*.*.*=b", "a?" * 24 + "a" * 24])
def test_catastrophic_patterns_take_linear_time(pattern: str) -> None:
    query = Query(pattern, regex=True)
    with takes_at_most(1):
        query.find_spans("a" * 5_000 + "!")
        list(query.matching_lines("a" * 200_000 + "!"))


def test_matches_are_found_with_their_positions() -> None:
    assert Query(r"\d+ ms", regex=True).find_spans("took 31 ms, then 4 ms") == [(5, 10), (17, 21)]
    assert Query("MS").find_spans("ms MS") == [(3, 5)]
    assert Query("ms", regex=True).find_spans("\u00fc MS") == [(2, 4)]


def test_empty_matches_are_not_highlighted() -> None:
    assert Query("x*", regex=True).find_spans("axxa") == [(1, 3)]


@pytest.mark.parametrize("pattern", ["(?=a)b", "(?<!a)b", r"(a)\1"])
def test_unsupported_features_are_named_in_the_error(pattern: str) -> None:
    with pytest.raises(QueryError, match="look-around and backreferences are not supported"):
        Query(pattern, regex=True)


def test_too_large_pattern_is_an_error() -> None:
    with pytest.raises(QueryError, match="too large"):
        Query(r"\w{900}\w{900}", regex=True)
