"""The rows of a window over wrapped lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workbench.logs.viewport import ViewportPosition, last_position, scroll, visible_rows

_heights = st.lists(st.integers(1, 7), min_size=1, max_size=20)


@given(_heights, st.integers(1, 12))
def test_last_position_shows_the_last_row(heights: list[int], height: int) -> None:
    shown = visible_rows(
        last_position(height, len(heights), heights.__getitem__), height, len(heights), heights.__getitem__
    )
    assert shown[-1] == (len(heights) - 1, heights[-1] - 1)
    assert len(shown) == min(height, sum(heights))


@given(_heights, st.integers(1, 12), st.integers(0, 100), st.integers(-100, 100))
def test_scrolling_moves_by_rows(heights: list[int], height: int, start: int, by: int) -> None:
    everything = [(line, row) for line, height in enumerate(heights) for row in range(height)]
    last = max(len(everything) - height, 0)
    begin = min(start, last)
    position = scroll(ViewportPosition(*everything[begin]), by, height, len(heights), heights.__getitem__)
    assert (position.line, position.skip) == everything[min(max(begin + by, 0), last)]
    assert (
        visible_rows(position, height, len(heights), heights.__getitem__)
        == everything[everything.index((position.line, position.skip)) :][:height]
    )
