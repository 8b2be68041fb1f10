"""Typed times are near the start of the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workbench.logs.time_input import parse_moment

_FIRST = datetime(2026, 1, 1, 23, 59, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "later"),
    [("23:59:45", 15), ("+90", 90), ("+1.5m", 90), ("00:00:10", 40), ("23:59", -30), ("+2h", 7200)],
)
def test_time_is_near_the_start_of_the_log(text: str, later: float) -> None:
    assert parse_moment(text, _FIRST) == _FIRST + timedelta(seconds=later)


@pytest.mark.parametrize("text", ["", "25:00", "12:60", "soon", "+", "+9" + "9" * 400])
def test_invalid_time_is_none(text: str) -> None:
    assert parse_moment(text, _FIRST) is None
