"""The options of a pod's log are validated as by a real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from embedded.api.status_errors import ApiError
from embedded.apiserver.log_options import parse_log_options

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_seconds_are_counted_back_from_now() -> None:
    found = parse_log_options("p", {"sinceSeconds": "10", "tailLines": "0", "follow": "true"}, NOW)
    assert (found.since, found.tail_lines, found.follow) == (NOW - timedelta(seconds=10), 0, True)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"tailLines": "-1"}, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ({"limitBytes": "0"}, "limitBytes: Invalid value: 0: must be greater than 0"),
        ({"sinceSeconds": "0"}, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ({"sinceSeconds": "1", "sinceTime": "2026-01-01T00:00:00Z"}, "at most one of `sinceTime` or `sinceSeconds`"),
    ],
)
def test_senseless_options_are_invalid(query: dict[str, str], message: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_log_options("p", query, NOW)
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    assert message in refused.value.message


@pytest.mark.parametrize("query", [{"tailLines": "x"}, {"sinceTime": "yesterday"}])
def test_unreadable_options_are_bad_requests(query: dict[str, str]) -> None:
    with pytest.raises(ApiError) as refused:
        parse_log_options("p", query, NOW)
    assert refused.value.code == 400
