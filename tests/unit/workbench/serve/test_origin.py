"""Which names and pages are ours."""

from __future__ import annotations

import pytest

from workbench.serve.origin import host_name, host_port, is_loopback, is_wildcard, origins_of


@pytest.mark.parametrize("host", ["127.0.0.1:8487", "localhost:9000", "[::1]:8487", "LOCALHOST", "127.0.0.1"])
def test_loopback_names_are_accepted_with_any_port(host: str) -> None:
    assert origins_of("127.0.0.1").accepts_host(host)


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example:8487", "127.0.0.1.evil.example", "127.0.0.1:8487@evil", "localhost:", "localhost:x",
     "192.168.0.4:8487", "a b", "127.0.0.1\r\nx: y", "localhost,evil", "[::1"],
)  # fmt: skip
def test_other_names_are_refused(host: str | None) -> None:
    assert not origins_of("127.0.0.1").accepts_host(host)


def test_more_names_and_addresses_are_accepted_where_they_are_given() -> None:
    assert origins_of("10.0.0.4").accepts_host("10.0.0.4:80")
    assert not origins_of("10.0.0.4").accepts_host("10.0.0.5:80")
    assert origins_of("127.0.0.1", ["Stage.example"]).accepts_host("stage.example:443")
    everywhere = origins_of("0.0.0.0")
    assert everywhere.accepts_host("192.168.0.4:8487")
    assert everywhere.accepts_host("[2001:db8::1]:8487")
    assert not everywhere.accepts_host("rebound.example:8487"), "a name of another site may point here"
    assert origins_of("::").any_address


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [("http://localhost:1", True), ("https://localhost:1", True), ("http://localhost:2", False), (None, False),
     ("null", False), ("http://evil.example", False), ("http://localhost:1.evil.example", False), ("", False)],
)  # fmt: skip
def test_only_pages_of_the_same_host_and_port_may_connect(origin: str | None, accepted: bool) -> None:
    assert origins_of("127.0.0.1").accepts_origin("localhost:1", origin) is accepted


def test_parts_of_hosts() -> None:
    assert (host_name("[::1]:80"), host_port("[::1]:80")) == ("[::1]", "80")
    assert (host_name("a.b"), host_port("a.b")) == ("a.b", "")
    assert [is_loopback(each) for each in ("127.0.0.1", "::1", "[::1]", "localhost", "10.0.0.1", "a")] == [
        True, True, True, True, False, False,
    ]  # fmt: skip
    assert [is_wildcard(each) for each in ("0.0.0.0", "::", "127.0.0.1", "a")] == [True, True, False, False]
