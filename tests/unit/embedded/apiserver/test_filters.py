"""Requests from foreign hosts and origins are refused."""

from __future__ import annotations

import pytest

from embedded.api.status_errors import ApiError
from embedded.apiserver import filters


@pytest.mark.parametrize("host", ["127.0.0.1:6443", "localhost", "[::1]:80"])
def test_loopback_hosts_are_allowed(host: str) -> None:
    filters.check_origin({"Host": host})


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "evil.example:6443"},
        {"Host": "localhost@evil.example"},
        {"Host": "[::1"},
        {},
        {"Host": "localhost", "Origin": "https://evil.example"},
        {"Host": "localhost", "Origin": "null"},
    ],
)
def test_foreign_hosts_and_origins_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ApiError) as raised:
        filters.check_origin(headers)
    assert raised.value.code == 403
