"""The receiver over HTTP: paths, methods, and what is bounded before anything is looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest

from controller.webhooks import app as module
from controller.webhooks.admission import Admission
from controller.webhooks.app import WebhookApp
from tests.support.forges.payloads import encode, github_push
from tests.unit.controller.webhooks.world import SECRET, World

Json = dict[str, Any]


class Door:
    """The application as an HTTP server calls it."""

    def __init__(self, world: World, **admission: int) -> None:
        self.admission = Admission(lambda: world.seconds, **admission)
        self.ready = asyncio.Event()
        self.ready.set()
        self.app = WebhookApp(world.receiver, self.admission, self.ready)

    async def __call__(
        self,
        path: str,
        body: Iterable[bytes] = (b"{}",),
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        address: str = "192.0.2.1",
        ends: str = "http.request",
    ) -> tuple[int, Json, dict[str, str]]:
        scope = {"type": "http", "path": path, "method": method, "client": (address, 1)}
        scope["headers"] = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        parts: list[Json] = [{"type": "http.request", "body": part, "more_body": True} for part in body]
        parts.append({"type": ends, "body": b"", "more_body": False})
        sent: list[Json] = []

        async def receive() -> Json:
            return parts.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], json.loads(sent[1]["body"]), found


@pytest.mark.parametrize(
    "path",
    [
        *("/webhooks/", "/webhooks/svn", "/webhooks/github/team", "/webhooks/github/team/hello/x"),
        *("/webhooks/github/T/h", "/webhooks/github/../x", "/webhooks/github/team/" + "x" * 64),
    ],
)
async def test_other_paths_are_not_found(path: str) -> None:
    assert (await Door(World())(path))[0] == 404


async def test_other_methods_are_not_allowed() -> None:
    status, _, headers = await Door(World())("/webhooks/github", method="GET")
    assert (status, headers["allow"]) == (405, "POST")


async def test_a_signed_delivery_is_accepted_under_both_urls() -> None:
    world = World()
    world.connect()
    door = Door(world)
    given, document = github_push(pushed_at=int(world.now.timestamp()))
    from controller.webhooks.providers import PROVIDERS

    signed = {**given, **PROVIDERS["github"].sign(SECRET, encode(document), 0)}
    for path in ("/webhooks/github", "/webhooks/github/team/hello"):
        body = encode(document)
        status, answer, _ = await door(path, (body[:10], body[10:]), headers=signed)
        assert status == 202, answer
    assert len(world.runs) == 1


async def test_a_body_that_is_announced_too_large_is_not_read() -> None:
    headers = {"content-length": str(module.MAX_BODY_BYTES + 1)}
    assert (await Door(World())("/webhooks/github", (), headers=headers))[0] == 413


async def test_a_body_that_turns_out_too_large_is_not_read_on() -> None:
    door = Door(World())
    status, _, _ = await door("/webhooks/github", [b"x" * 1024 * 1024] * 30)
    assert status == 413
    assert (await door("/webhooks/github"))[0] == 401, "what it took is free again"


async def test_a_body_that_breaks_off_is_refused() -> None:
    assert (await Door(World())("/webhooks/github", ends="http.disconnect"))[0] == 400


async def test_who_is_refused_too_often_has_to_wait_and_others_do_not() -> None:
    world = World()
    door = Door(world, refusals_per_minute=3)
    assert [(await door("/webhooks/github"))[0] for _ in range(5)] == [401, 401, 401, 429, 429]
    assert (await door("/webhooks/github", address="192.0.2.2"))[0] == 401
    world.pass_time(20)
    assert (await door("/webhooks/github"))[0] == 401


async def test_too_many_bytes_at_once_are_refused() -> None:
    door = Door(World(), max_bytes=100)
    status, _, headers = await door("/webhooks/github", headers={"content-length": "101"})
    assert (status, headers["retry-after"]) == (503, "2")
    assert (await door("/webhooks/github", headers={"content-length": "2"}))[0] == 401


async def test_a_delivery_waits_until_the_receiver_is_ready_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(World())
    door.ready.clear()
    waiting = asyncio.create_task(door("/webhooks/github"))
    await asyncio.sleep(0)
    door.ready.set()
    assert (await waiting)[0] == 401
    door.ready.clear()
    monkeypatch.setattr(module, "READY_SECONDS", 0.0)
    assert (await door("/webhooks/github"))[0] == 503


async def test_a_failure_of_the_receiver_is_one_answer() -> None:
    world = World()
    world.connect()
    world.cluster.failure = RuntimeError("a defect")
    status, answer, _ = await Door(world)("/webhooks/github/team/hello")
    assert status == 500
    assert "a defect" not in json.dumps(answer)
