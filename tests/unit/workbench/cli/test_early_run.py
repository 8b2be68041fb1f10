"""A run that is created while the workbench opens, on a client that a test answers for."""

from __future__ import annotations

import asyncio
import threading
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
    """Notes the keys of the runs that it creates, or refuses."""

    keys: list[str]
    refuses: bool

    def __init__(self, endpoint: Endpoint) -> None:
        assert endpoint is ENDPOINT

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def create_run(self, request: RunRequest, *, idempotency_key: str) -> Any:
        type(self).keys.append(idempotency_key)
        if self.refuses:
            raise ServerError("it is starting")
        return SimpleNamespace(name="shop-1", uid="1")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    made = type("Client", (FakeClient,), {"keys": [], "refuses": False})
    monkeypatch.setattr(f"{Client.__module__}.Client", made)
    return made


def submission() -> RunSubmission:
    return RunSubmission(RunRequest({"name": "shop", "steps": []}), "one key")


async def test_run_is_created_with_its_key(client: type[FakeClient]) -> None:
    early = EarlyRun(submission)
    early.start(ENDPOINT)
    assert await early.name() == "shop-1"
    assert client.keys == ["one key"]


async def test_controller_that_refuses_is_believed(client: type[FakeClient]) -> None:
    client.refuses = True
    early = EarlyRun(submission)
    early.start(ENDPOINT)
    with pytest.raises(ServerError, match="it is starting"):
        await early.name()
    assert client.keys == ["one key"]


async def test_run_that_was_not_started_has_no_name(client: type[FakeClient]) -> None:
    with pytest.raises(LaunchError, match="the run was not started"):
        await EarlyRun(submission).name()
    assert client.keys == []


async def test_what_can_not_be_prepared_is_reported(client: type[FakeClient]) -> None:
    def fail() -> RunSubmission:
        raise OSError("the disk is full")

    early = EarlyRun(fail)
    early.start(ENDPOINT)
    with pytest.raises(LaunchError, match="the disk is full"):
        await early.name()


async def test_name_that_nobody_waits_for_any_more_is_known_all_the_same(client: type[FakeClient]) -> None:
    prepared = threading.Event()

    def prepare() -> RunSubmission:
        assert prepared.wait(60)
        return submission()

    early = EarlyRun(prepare)
    early.start(ENDPOINT)
    waiting = asyncio.create_task(early.name())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    prepared.set()
    assert await early.name() == "shop-1"
