"""Whether a delivery is about a connection's repository, however its URL is written."""

from __future__ import annotations

import pytest

from controller.forge_secrets import canonical_url
from controller.webhooks.event import RepositoryEvent
from controller.webhooks.payload import parse_body
from controller.webhooks.providers import PROVIDERS
from controller.webhooks.stored_event import from_stored, to_stored
from tests.support.forges import payloads as payloads

SAME = (
    "https://github.com/Org/App",
    "https://github.com/org/app.git",
    "https://github.com/org/app/",
    "https://github.com:443/org/app",
    "git@github.com:org/app.git",
    "ssh://git@github.com/org/app.git",
    "git://github.com/org/app.git",
)


@pytest.mark.parametrize("url", SAME)
def test_one_repository_has_many_urls(url: str) -> None:
    assert canonical_url(url) == "github.com/org/app"


@pytest.mark.parametrize(
    "url",
    [
        *("https://github.com/org/app2", "https://github.com.evil/org/app", "https://github.com:8443/org/app"),
        *("org/app", "https://evil/github.com/org/app", "http://[::1", "https://x:y/a", "", "://"),
    ],
)
def test_other_urls_are_other_repositories(url: str) -> None:
    assert canonical_url(url) != "github.com/org/app"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_event_survives_being_stored(provider: str) -> None:
    found: list[RepositoryEvent] = []
    for build in payloads.EVERY[provider]:
        headers, document = build()
        parsed = PROVIDERS[provider].parse(headers, parse_body(payloads.encode(document), "application/json"))
        found += [each for each in parsed if isinstance(each, RepositoryEvent)]
    assert found
    assert [from_stored(to_stored(each)) for each in found] == found
