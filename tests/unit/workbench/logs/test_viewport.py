"""A window over lines of several rows shows no row twice and none beyond the end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.logs.viewport import ViewportPosition, last_position, scroll, visible_rows

_heights = st.lists(st.integers(1, 7), min_size=1, max_size=20)


@given(_heights, st.integers(1, 12))
def test_last_position_shows_the_last_row(heights: list[int], room: int) -> None:
    shown = visible_rows(
        last_position(room, len(heights), heights.__getitem__), room, len(heights), heights.__getitem__
    )
    assert shown[-1] == (len(heights) - 1, heights[-1] - 1)
    assert len(shown) == min(room, sum(heights))


@given(_heights, st.integers(1, 12), st.integers(0, 100), st.integers(-100, 100))
def test_scrolling_moves_by_rows(heights: list[int], room: int, start: int, by: int) -> None:
    everything = [(line, row) for line, height in enumerate(heights) for row in range(height)]
    last = max(len(everything) - room, 0)
    begin = min(start, last)
    place = scroll(ViewportPosition(*everything[begin]), by, room, len(heights), heights.__getitem__)
    assert (place.line, place.skip) == everything[min(max(begin + by, 0), last)]
    assert (
        visible_rows(place, room, len(heights), heights.__getitem__)
        == everything[everything.index((place.line, place.skip)) :][:room]
    )
