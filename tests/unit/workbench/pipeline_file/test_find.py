"""Finding a text in a document."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.pipeline_file.find import Match, find_all, nearest

LINES = ["name: shop", "", "steps: # Name of shop, shopshop"]


def test_case_counts_only_with_a_capital_letter() -> None:
    assert [match.start for match in find_all(LINES, "name")] == [(0, 0), (2, 9)]
    assert [match.start for match in find_all(LINES, "Name")] == [(2, 9)]
    assert find_all(LINES, "") == find_all(LINES, "nowhere") == []


def test_matches_do_not_overlap() -> None:
    assert find_all(["aaaa"], "aa") == [Match((0, 0), (0, 2)), Match((0, 2), (0, 4))]


def test_search_goes_around() -> None:
    matches = find_all(LINES, "shop")
    assert [match.start for match in matches] == [(0, 6), (2, 17), (2, 23), (2, 27)]
    assert [nearest(matches, at, 1) for at in ((0, 0), (0, 6), (0, 7), (2, 27), (2, 31))] == [0, 0, 1, 3, 0]
    assert [nearest(matches, at, -1) for at in ((0, 6), (0, 7), (2, 23))] == [3, 0, 1]
    assert nearest([], (0, 0), 1) is None


@given(st.lists(st.text(alphabet="aAİß \t"), max_size=4), st.text(alphabet="aAİß", min_size=1, max_size=3))
def test_what_is_found_is_there(lines: list[str], text: str) -> None:
    for (row, first), (end_row, last) in ((match.start, match.end) for match in find_all(lines, text)):
        assert row == end_row
        assert lines[row][first:last].lower() == text.lower()
