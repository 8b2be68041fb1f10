"""A run that is created while its sandbox starts, on a client that a test answers for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from workbench.cli.early_run import EarlyRun
from workbench.client.client import Client
from workbench.client.endpoint import Endpoint
from workbench.client.errors import ServerError
from workbench.client.run_request import RunRequest
from workbench.submit.submit import RunSubmission
from workbench.tui.services.interfaces import LaunchError

ENDPOINT = Endpoint("http://127.0.0.1:1", Path("token"), sandbox="demo")


class FakeClient:
    """Refuses as often as `refusals` says."""

    keys: list[str]
    refusals: int

    def __init__(self, endpoint: Endpoint) -> None:
        assert endpoint is ENDPOINT

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def create_run(self, request: RunRequest, *, idempotency_key: str) -> Any:
        type(self).keys.append(idempotency_key)
        if len(self.keys) <= self.refusals:
            raise ServerError("it is starting")
        return SimpleNamespace(name="shop-1", uid="1")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    made = type("Client", (FakeClient,), {"keys": [], "refusals": 0})
    monkeypatch.setattr(f"{Client.__module__}.Client", made)
    return made


def submission() -> RunSubmission:
    return RunSubmission(RunRequest({"name": "shop", "steps": []}), "one key")


async def test_run_is_sent_again_with_its_key_until_the_controller_is_ready(client: type[FakeClient]) -> None:
    client.refusals = 2
    early = EarlyRun(submission)
    early.begin()
    early.send_to(ENDPOINT)
    assert await early.name() == "shop-1"
    assert client.keys == ["one key"] * 3


async def test_controller_that_is_ready_and_refuses_is_believed(client: type[FakeClient]) -> None:
    client.refusals = 1
    early = EarlyRun(submission)
    early.begin()
    early.send_to(ENDPOINT, ready=True)
    with pytest.raises(ServerError, match="it is starting"):
        await early.name()


async def test_start_that_is_tried_again_creates_one_run(client: type[FakeClient]) -> None:
    early = EarlyRun(submission)
    early.begin()
    early.begin()
    early.send_to(ENDPOINT, ready=True)
    early.send_to(ENDPOINT, ready=True)
    assert await early.name() == "shop-1"
    assert client.keys == ["one key"]


async def test_run_that_is_given_up_is_not_created(client: type[FakeClient]) -> None:
    early = EarlyRun(submission)
    early.begin()
    early.give_up()
    with pytest.raises(LaunchError, match="the sandbox was not started"):
        await early.name()
    assert client.keys == []


async def test_what_can_not_be_prepared_is_reported(client: type[FakeClient]) -> None:
    def fail() -> RunSubmission:
        raise OSError("the disk is full")

    early = EarlyRun(fail)
    early.begin()
    with pytest.raises(LaunchError, match="the disk is full"):
        await early.name()


async def test_name_that_nobody_waits_for_any_more_is_known_all_the_same(client: type[FakeClient]) -> None:
    early = EarlyRun(submission)
    early.begin()
    waiting = asyncio.create_task(early.name())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    early.send_to(ENDPOINT, ready=True)
    assert await early.name() == "shop-1"
