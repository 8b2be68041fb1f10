"""Regular expressions of strangers: what RE2 says, in bounded time."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.regex import PatternBudgetError, PatternError, compile_pattern
from tests.support.processor_time import takes_at_most

_ATOMS = st.sampled_from(
    ["a", "b", "ab", "[ab]", "[^a]", ".", r"\d", r"\w", "1", "(?:a|b1)", r"\bb", "^a", "b$", "(?i:A)"]
)
_TEXTS = st.text(alphabet="abA1 \n", max_size=12)


def _together(parts: list[tuple[str, str]]) -> str:
    return "".join(atom if atom[0] in "^\\" or atom[-1] == "$" else f"(?:{atom}){sign}" for atom, sign in parts)


_SIGNS = st.sampled_from(["", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}?", "{2,}"])
_EXPRESSIONS = st.lists(st.tuples(_ATOMS, _SIGNS), max_size=5).map(_together)


@given(_EXPRESSIONS, _EXPRESSIONS, _TEXTS)
def test_matches_equal_those_of_python_in_common_syntax(left: str, right: str, text: str) -> None:
    expression = f"{left}|{right}"
    # RE2's $ is the end of the text only.
    expected = re.compile(expression.replace("$", r"\Z"), re.ASCII).search(text)
    assert compile_pattern(expression).is_match(text) is (expected is not None)
    assert compile_pattern(expression).find(text) == (expected.span() if expected else None)


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        (r"^[[:alpha:]]+$", "abc", "ab1"),
        (r"^[^[:digit:]x-z]+$", "abc", "a1"),
        (r"^\p{Lu}\pL+\P{N}$", "Éa!", "éa!"),
        (r"^\x41\x{1F600}\n$", "A\U0001f600\n", "A"),
        (r"^\Qa.b*\E$", "a.b*", "axbb"),
        (r"(?i)^straße$", "STRAßE", "strase"),
        (r"(?s)^a.b$", "a\nb", "a\nc"),
        (r"(?m)^b$", "a\nb\nc", "abc"),
        (r"^(?P<x>a){2,3}$", "aaa", "aaaa"),
        (r"^[]a]$", "]", "b"),
        (r"^[a\-z]$", "-", "b"),
        (r"^a{,2}$", "a{,2}", "aa"),
        (r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a-b", "a-"),
    ],
)
def test_re2_syntax_is_accepted(pattern: str, fits: str, fails: str) -> None:
    assert compile_pattern(pattern).is_match(fits)
    assert not compile_pattern(pattern).is_match(fails)


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"(a)\1", "(?=a)", "(?<!a)b", "a**", "(", ")", "[a", "[z-a]", "*a", "a{1001}", "(a{500}){500}", "\\", r"\q"),
        *("[[:foo:]]", r"\pX", r"\x{FFFFFFFF}", "(?z)", "(?P<a", "(" * 300),
    ],
)
def test_syntax_unknown_to_re2_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|a)*b", "(a*)*(a*)*b", "a.*a.*a.*a.*b", "(.*)*x"])
def test_search_takes_linear_time(pattern: str) -> None:
    with takes_at_most(2):
        assert not compile_pattern(pattern).is_match("a" * 20_000 + "!")


def test_too_long_text_is_refused() -> None:
    text = "".join(random.Random(7).choices("ab", k=200_000))
    with pytest.raises(PatternBudgetError, match="takes too long in 200000 characters"):
        compile_pattern("(a|b)*a(a|b){900}c").is_match(text)


def test_unpaired_surrogates_are_replaced() -> None:
    assert compile_pattern("^a.b$").is_match("a\ud800b")
    assert not compile_pattern("\udc00").is_match("b")


def test_find_all_yields_matches_in_order() -> None:
    assert list(compile_pattern("a+|b").find_all("aabxab")) == ["aa", "b", "a", "b"]
    assert list(compile_pattern("x*").find_all("ax")) == ["", "x", ""]
