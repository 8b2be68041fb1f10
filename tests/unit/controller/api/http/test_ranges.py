"""One range of bytes, as RFC 9110 has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.http.problems import ApiProblemError
from controller.api.http.ranges import parse_range


@pytest.mark.parametrize(
    ("header", "start", "stop", "partial"),
    [
        (None, 0, 10, False),
        ("bytes=0-3", 0, 4, True),
        ("bytes=4-", 4, 10, True),
        ("bytes=-3", 7, 10, True),
        ("bytes=-30", 0, 10, True),
        ("bytes=8-99", 8, 10, True),
        ("bytes=5-2", 0, 10, False),
        ("bytes=0-1,3-4", 0, 10, False),
        ("bytes=-", 0, 10, False),
        ("lines=0-1", 0, 10, False),
    ],
)
def test_a_range_names_bytes(header: str | None, start: int, stop: int, partial: bool) -> None:
    found = parse_range(header, 10)
    assert (found.start, found.stop, found.partial) == (start, stop, partial)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_outside_is_a_problem(header: str) -> None:
    with pytest.raises(ApiProblemError) as caught:
        parse_range(header, 10)
    assert caught.value.kind.status == 416
    assert caught.value.headers == {"Content-Range": "bytes */10"}


@given(st.text(max_size=40) | st.from_regex(r"bytes=\d{0,30}-\d{0,30}", fullmatch=True), st.integers(0, 100))
def test_no_header_leads_outside_of_the_object(header: str, size: int) -> None:
    try:
        found = parse_range(header, size)
    except ApiProblemError:
        return
    assert 0 <= found.start <= found.stop <= size
