"""The ASGI application before its routes are loaded: answers probes, and lets all other requests wait for the routes.

It imports nothing, so that a process is ready before the modules of the API are imported.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from controller.api.readiness import Readiness

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class DeferredApp:
    """Passes requests on to the application that `load` returns.

    Until it is loaded, `/healthz` and `/readyz` are answered here. `on_ready` is called when the process has reported
    that it is ready.
    """

    def __init__(self, load: Callable[[], Awaitable[App]], readiness: Readiness, on_ready: Callable[[], None]) -> None:
        self._load = load
        self._readiness = readiness
        self._on_ready = on_ready
        self._app: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            if _is_probe(scope):
                await self._answer_probe(scope["path"], send)
                return
            # Requests that wait at the same time get the same modules, and the first of them the application.
            loaded = await self._load()
            self._app = self._app or loaded
        await self._app(scope, receive, send)

    async def _answer_probe(self, path: str, send: Send) -> None:
        if path == "/healthz":
            await _respond(send, 200, b"text/plain; charset=utf-8", b"ok\n")
            return
        document = self._readiness.document()
        body = json.dumps(document, separators=(",", ":")).encode()
        await _respond(send, 200 if document["ready"] else 503, b"application/json", body)
        if document["ready"]:
            self._on_ready()


def _is_probe(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and scope["path"] in ("/healthz", "/readyz")
        and not scope["query_string"]
    )


async def _respond(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
