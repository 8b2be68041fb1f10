"""The application before its routes are loaded."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from controller.api.deferred_app import App, DeferredApp, Message, Receive, Scope, Send
from controller.api.readiness import Readiness


class Loading:
    """A deferred application whose routes are loaded when `finish` is called."""

    def __init__(self) -> None:
        self.readiness = Readiness()
        self.loaded = asyncio.Event()
        self.reports = 0
        self.app = DeferredApp(self.load, self.readiness, self.report)

    def report(self) -> None:
        self.reports += 1

    async def load(self) -> App:
        await self.loaded.wait()
        return echo_path

    async def get(self, path: str, query: bytes = b"") -> tuple[int, bytes]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope: Any = {"type": "http", "method": "GET", "path": path, "query_string": query}
        await self.app(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]


async def echo_path(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


async def test_probes_are_answered_before_the_routes_are_loaded() -> None:
    loading = Loading()
    loading.readiness.set_waiting("kubernetes", "not asked yet")
    assert (await loading.get("/healthz")) == (200, b"ok\n")
    status, body = await loading.get("/readyz")
    assert (status, json.loads(body)) == (503, loading.readiness.document())
    assert loading.reports == 0


async def test_load_begins_once_readiness_is_reported() -> None:
    loading = Loading()
    assert (await loading.get("/readyz"))[0] == 200
    assert loading.reports == 1


@pytest.mark.parametrize(("path", "query"), [("/api/v1/runs", b""), ("/readyz", b"verbose")])
async def test_other_requests_wait_for_the_routes(path: str, query: bytes) -> None:
    loading = Loading()
    answers = [asyncio.ensure_future(loading.get(path, query)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(answer.done() for answer in answers)
    loading.loaded.set()
    assert [await answer for answer in answers] == [(200, path.encode())] * 3
