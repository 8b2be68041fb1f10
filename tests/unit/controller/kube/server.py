"""An API server that says what a test wants it to, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from controller.kube import KubeClient
from controller.kube.client import ConnectionConfig

Json = dict[str, Any]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def status(code: int, reason: str, message: str = "no") -> web.Response:
    document = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return web.json_response(document, status=code)


def pod(name: str, version: int, uid: str = "u", **more: Any) -> Json:
    return {"metadata": {"name": name, "namespace": "a", "resourceVersion": str(version), "uid": uid}, **more}


def list_response(version: int, *items: Json) -> web.Response:
    return web.json_response({"items": list(items), "metadata": {"resourceVersion": str(version)}})


def event(kind: str, obj: Json) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


async def stream_response(
    request: web.Request, *parts: bytes, hold: bool = False, cut: bool = False
) -> web.StreamResponse:
    """An answer in parts: then it ends, stays open, or breaks off."""
    response = web.StreamResponse()
    await response.prepare(request)
    for part in parts:
        await response.write(part)
    if cut:
        assert request.transport is not None
        request.transport.abort()
    if hold:
        await asyncio.Event().wait()
    return response


@asynccontextmanager
async def serve_client(answer: Answer, token: str | None = None) -> AsyncIterator[KubeClient]:
    """A client of a server that answers everything so."""
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = runner.addresses[0]
    try:
        async with KubeClient(ConnectionConfig(f"http://127.0.0.1:{address[1]}", lambda: token)) as client:
            yield client
    finally:
        await runner.cleanup()
