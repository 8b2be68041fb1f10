"""Durations, ages, sizes and times as the workbench prints them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.logs.step_logs import parse_microseconds
from workbench.text.format import format_path, format_timestamp


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(None, "-"), (0, "1970-01-01T00:00:00.000000Z"), (1_767_268_800_000_042, "2026-01-01T12:00:00.000042Z")],
)
def test_timestamp_is_rfc_3339_in_utc(microseconds: int | None, text: str) -> None:
    assert format_timestamp(microseconds) == text


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000))
def test_timestamp_is_parsed_to_the_same_time(microseconds: int) -> None:
    assert parse_microseconds(format_timestamp(microseconds)) == microseconds


@pytest.mark.parametrize(
    ("home", "text"),
    [("/home/me", "~/shop/.c8s.yaml"), ("/home/m", "/home/me/shop/.c8s.yaml"), ("", "/home/me/shop/.c8s.yaml"),
     (None, "/home/me/shop/.c8s.yaml")],
)  # fmt: skip
def test_path_in_the_home_folder_is_short(home: str | None, text: str) -> None:
    assert format_path(Path("/home/me/shop/.c8s.yaml"), home) == text
