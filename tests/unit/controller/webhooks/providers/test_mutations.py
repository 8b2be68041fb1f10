"""Ten thousand damaged payloads: each is read, ignored or refused in words, and none ends in another error."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

import pytest

from controller.run_types import patterns
from controller.webhooks.event import PayloadError, RepositoryEvent
from controller.webhooks.payload import parse_body
from controller.webhooks.providers import PROVIDERS
from tests.support.forges import payloads as payloads

ROUNDS = 10_000
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**70, 1.5, float("nan"), "", "x", "x" * 5000, "\x00", "a\nb", "\ud800", "-rf", "../..", "💥"),
    *([], {}, [None], [[]], {"a": {}}, ["\ud800"], "refs/heads/-x", "0" * 40, "refs/tags/", "$(id)", "%s%n", "<b>"),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for key, child in children:
        found += places(child, (*path, key))
    return found


def mutate(document: Any, chance: random.Random) -> Any:
    document = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        found = places(document)
        if not found:
            break
        *way, last = chance.choice(found)
        at = document
        for key in way:
            at = at[key]
        if chance.random() < 0.3:
            del at[last]
        else:
            at[last] = copy.deepcopy(chance.choice(VALUES))
    return document


def damage(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + chance.choice((b"", b"\xff", b"{", b'"', b"\\ud800")) + body[at + chance.randrange(3) :]


def assert_usable(event: RepositoryEvent) -> None:
    """What a run is made of fits the schema of a run, whatever the payload was."""
    for text in (event.branch, event.tag, event.commit, event.base, event.sender):
        assert len(text) <= patterns.MAX_SHORT_TEXT_LENGTH
        assert re.fullmatch(patterns.SHORT_TEXT_PATTERN[1:-1], text)
        text.encode()
    assert re.fullmatch("[0-9a-f]{7,64}|", event.commit)
    assert not event.branch.startswith("-")
    assert not event.tag.startswith("-")
    assert event.commit or event.deleted
    for path in event.changed or ():
        path.encode()
        assert "\0" not in path


@pytest.mark.parametrize("provider", PROVIDERS)
def test_damaged_payloads_are_read_ignored_or_refused(provider: str) -> None:
    chance = random.Random(f"{provider} 1")
    builders = payloads.EVERY[provider]
    deliveries = [build() for build in builders]
    refused = 0
    for number in range(ROUNDS // len(PROVIDERS)):
        headers, document = deliveries[number % len(deliveries)]
        body = payloads.encode(mutate(document, chance))
        if chance.random() < 0.1:
            body = damage(body, chance)
        if chance.random() < 0.05:
            headers = {**headers, chance.choice(list(headers)): chance.choice(("", "x" * 9999, "\udcff", "push"))}
        try:
            found = PROVIDERS[provider].parse(headers, parse_body(body, headers.get("content-type", "")))
        except PayloadError:
            refused += 1
            continue
        assert found
        for each in found:
            if isinstance(each, RepositoryEvent):
                assert_usable(each)
    assert 0 < refused < ROUNDS // len(PROVIDERS)
