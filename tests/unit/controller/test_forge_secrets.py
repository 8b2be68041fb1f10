"""The credentials of a connection go to the hosts that their Secret names, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from controller.forge_secrets import host_of, withheld_reason


def secret(hosts: str | None, label: str = "true") -> dict[str, Any]:
    annotations = {} if hosts is None else {"c8s.dev/hosts": hosts}
    return {"metadata": {"labels": {"c8s.dev/forge-secret": label}, "annotations": annotations}}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://GitHub.com/octo/hello", "github.com"),
        ("https://github.com:443/octo/hello", "github.com"),
        ("https://github.com:8443/octo/hello", "github.com:8443"),
        ("http://user@git.example.org/x", "git.example.org"),
        ("git@git.example.org:octo/hello.git", "git.example.org"),
        ("ssh://git@git.example.org:22/octo", "git.example.org"),
        ("ssh://git@git.example.org:2222/octo", "git.example.org:2222"),
        ("https://[::1]:3000/x", "::1:3000"),
        ("https://host:port/x", ""),
        ("nothing", ""),
    ],
)
def test_the_host_of_a_url_has_its_port_if_that_is_unusual(url: str, host: str) -> None:
    assert host_of(url) == host


def test_only_named_hosts_get_the_credentials() -> None:
    known = secret("github.com, API.github.com")
    assert withheld_reason("a", known, "https://github.com/octo/hello") == ""
    assert withheld_reason("a", known, "https://api.github.com/repos") == ""
    for url in ("https://evil.example.org/", "https://github.com:8443/", "https://github.com.evil.org/", "nothing", ""):
        reason = withheld_reason("a", known, url)
        assert "api.github.com, github.com only" in reason
        assert "c8s.dev/hosts" in reason


@pytest.mark.parametrize("hosts", [None, "", " , "])
def test_without_hosts_they_go_nowhere(hosts: str | None) -> None:
    assert "for no host yet" in withheld_reason("a", secret(hosts), "https://github.com/octo/hello")
    assert "for no host yet" in withheld_reason("a", secret(hosts), "no url")


def test_a_secret_that_is_not_for_connections_goes_nowhere() -> None:
    reason = withheld_reason("a", secret("github.com", label="false"), "https://github.com/octo/hello")
    assert "lacks the label c8s.dev/forge-secret=true" in reason
