"""Durations such as 1h30m."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pipeline.values import duration

_quick = settings(max_examples=200, deadline=None)


@_quick
@given(st.integers(0, duration.MAX_SECONDS))
def test_formatted_duration_is_parsed_again(total: int) -> None:
    assert duration.parse_duration(duration.format_duration(total)) == total


@pytest.mark.parametrize("text", ["", "10", "m", "1.5h", "-1s", "1d", "10m\n", "١m"])
def test_invalid_duration_is_rejected_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 10m"):
        duration.parse_duration(text)
