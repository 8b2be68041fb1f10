"""Middleware of every request, as plain ASGI classes: Starlette's own wrapper class costs a task per call.

From the outside in: request id and security headers, metrics, errors, trusted host, origin, body limit. The first two
also see the responses that the others make. Who the caller is, and what they may do, is decided per route (`auth/`).
"""

import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from controller.api.http.problems import MEDIA_TYPE, ApiProblemError, encode_problem
from controller.test_results.model import MAX_PACKED_BYTES

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
ObserveRequest = Callable[[str, str, int, float], None]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
PROBE_PATHS = frozenset({"/healthz", "/readyz"})
MAX_JSON_BYTES = 2 * 1024 * 1024
MAX_MANIFEST_BYTES = 32 * 1024 * 1024
CLOSE_INTERNAL_ERROR = 1011
_CONNECTIONS = ("http", "websocket")
_RESPONSE_STARTS = ("http.response.start", "websocket.http.response.start")
_UPLOAD_PATH = re.compile(r"/api/v1/(objects/|namespaces/[^/]+/sources/)")
_REPORTS_PATH = re.compile(r"/api/v1/agent/tests/[^/]+/[^/]+")
_MANIFEST_PATH = re.compile(r"/api/v1/agent/artifacts/[^/]+/[^/]+/manifest")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[-a-z0-9_.]+)(?::[0-9]{1,5})?")
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

log = logging.getLogger("c8s.api")


class BodyTooLargeError(HTTPException):
    """Raised out of `receive` when a body passes the limit; answered as a problem `too-large`.

    It is Starlette's kind of error, because FastAPI takes any other for a body that can't be parsed.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(413, _too_large(limit).detail)
        self.limit = limit


class RequestIdMiddleware:
    """Gives each request an id (`scope["state"]["request_id"]`), and each response that id and security headers."""

    def __init__(self, app: App, new_request_id: Callable[[], str]) -> None:
        self._app = app
        self._new_request_id = new_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in _CONNECTIONS:
            await self._app(scope, receive, send)
            return
        request_id = scope.setdefault("state", {})["request_id"] = self._new_request_id()

        async def send_with_headers(message: Message) -> None:
            if message["type"] in _RESPONSE_STARTS:
                message = {**message, "headers": _with_headers(message.get("headers", ()), request_id)}
            await send(message)

        await self._app(scope, receive, send_with_headers)


class MetricsMiddleware:
    """Reports method, route template, status (0 for none, 101 for a WebSocket) and seconds of each request."""

    def __init__(self, app: App, observe: ObserveRequest) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in _CONNECTIONS:
            await self._app(scope, receive, send)
            return
        status = 0
        started = time.perf_counter()

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] in _RESPONSE_STARTS:
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            method = scope.get("method", "WEBSOCKET")
            self._observe(method, _route(scope), status, time.perf_counter() - started)


class ErrorMiddleware:
    """Answers whatever is raised below with a problem, and logs it: one request must never end the process."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in _CONNECTIONS:
            await self._app(scope, receive, send)
            return
        response = _Response(scope, send)
        try:
            await self._app(scope, receive, response.send)
        except BodyTooLargeError as error:
            await response.fail(_too_large(error.limit))
        except (ClientDisconnect, WebSocketDisconnect):
            # Clients may leave early; there is no one left to answer.
            log.info("the client disconnected early", extra=_log_fields(scope))
        except Exception:  # the boundary: one request must never end the process
            log.exception("request failed", extra=_log_fields(scope))
            await response.fail(ApiProblemError("internal", "the controller failed on this request; see its log"))


class _Response:
    """The response on its way out: remembers whether it has started and whether it is complete."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._started = False
        self._complete = False

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind in _RESPONSE_STARTS or kind == "websocket.accept":
            self._started = True
        elif kind == "websocket.close" or (kind.endswith("http.response.body") and not message.get("more_body")):
            self._complete = True
        await self._send(message)

    async def fail(self, problem: ApiProblemError) -> None:
        """Sends the problem. A response that has started is broken off: the connection's end tells the client."""
        if self._complete:
            return
        if not self._started:
            await send_problem(self._scope, self._send, problem)
        elif self._scope["type"] == "websocket":
            await self.send({"type": "websocket.close", "code": CLOSE_INTERNAL_ERROR})
        else:
            request_id = self._scope.get("state", {}).get("request_id")
            raise ConnectionAbortedError(f"request {request_id}: the response was broken off")


class TrustedHostMiddleware:
    """Refuses requests to another host name than the loopback names and `hosts`.

    A page in a browser can be made to send requests to a loopback address under a name of its own (DNS rebinding);
    that shows in the Host header, which a page can't forge. Probes may come under any name.
    """

    def __init__(self, app: App, hosts: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._hosts = hosts | LOOPBACK_NAMES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in _CONNECTIONS and not self._is_trusted(scope):
            detail = "the Host header names a host that this API is not configured for (see --allowed-host)"
            await send_problem(scope, send, ApiProblemError("host-not-allowed", detail))
            return
        await self._app(scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        return scope["path"] in PROBE_PATHS or host_name(_header(scope, b"host")) in self._hosts


class OriginMiddleware:
    """Refuses calls from pages of other web origins than the API's own and `origins` (`https://host:port`)."""

    def __init__(self, app: App, origins: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in _CONNECTIONS and not self._is_allowed(scope):
            detail = "only pages of the API's own or a configured origin may call it (see --allowed-origin)"
            await send_problem(scope, send, ApiProblemError("origin-not-allowed", detail))
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        origin = _header(scope, b"origin")
        return not origin or origin in self._origins or origin.partition("://")[2] == _header(scope, b"host")


class BodyLimitMiddleware:
    """Refuses bodies that are announced too large, and stops reading those that turn out to be."""

    def __init__(self, app: App, max_json_bytes: int = MAX_JSON_BYTES) -> None:
        self._app = app
        self._max_json_bytes = max_json_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = body_limit(scope["path"], self._max_json_bytes) if scope["type"] == "http" else None
        if limit is None:
            await self._app(scope, receive, send)
            return
        announced = _header(scope, b"content-length")
        if announced.isdigit() and int(announced[:20]) > limit:
            await send_problem(scope, send, _too_large(limit))
            return
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > limit:
                    raise BodyTooLargeError(limit)
            return message

        await self._app(scope, receive_within_limit, send)


def with_middleware(
    app: App,
    *,
    hosts: frozenset[str] = frozenset(),
    origins: frozenset[str] = frozenset(),
    new_request_id: Callable[[], str],
    observe: ObserveRequest,
    max_json_bytes: int = MAX_JSON_BYTES,
) -> App:
    """The app behind all middleware."""
    app = BodyLimitMiddleware(app, max_json_bytes)
    app = OriginMiddleware(app, origins)
    app = TrustedHostMiddleware(app, hosts)
    app = ErrorMiddleware(app)
    app = MetricsMiddleware(app, observe)
    return RequestIdMiddleware(app, new_request_id)


async def send_problem(scope: Scope, send: Send, problem: ApiProblemError) -> None:
    """Answers a request, or the handshake of a WebSocket, with the problem."""
    prefix = "websocket." if scope["type"] == "websocket" else ""
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    body = encode_problem(problem.document(scope.get("state", {}).get("request_id")))
    start = {"type": f"{prefix}http.response.start", "status": problem.kind.status, "headers": headers}
    await send(start)
    await send({"type": f"{prefix}http.response.body", "body": body})


def body_limit(path: str, max_json_bytes: int = MAX_JSON_BYTES) -> int | None:
    """How many bytes a body for this path may have; None for uploads, whose routes count for themselves."""
    if _UPLOAD_PATH.match(path):
        return None
    if _REPORTS_PATH.fullmatch(path):
        return MAX_PACKED_BYTES
    return MAX_MANIFEST_BYTES if _MANIFEST_PATH.fullmatch(path) else max_json_bytes


def host_name(host: str) -> str:
    """A Host header without its port, in lower case; IPv6 addresses keep their brackets. Empty for an invalid one."""
    match = _HOST.fullmatch(host.strip().lower())
    return match[1].removesuffix(".") if match else ""


def _too_large(limit: int) -> ApiProblemError:
    return ApiProblemError("too-large", f"the body is larger than the {limit} bytes that this call takes")


def _header(scope: Scope, name: bytes) -> str:
    values = [value for key, value in scope["headers"] if key == name]
    # Two Host or Origin headers are an attempt to be read in two ways: joined, they match nothing.
    return b",".join(values).decode("latin-1")


def _with_headers(headers: Any, request_id: str) -> list[tuple[bytes, bytes]]:
    present = {bytes(name).lower() for name, _ in headers}
    added = [pair for pair in _SECURITY_HEADERS if pair[0] not in present]
    if b"cache-control" not in present:
        added.append((b"cache-control", b"no-store"))
    added.append((b"x-request-id", request_id.encode()))
    return [*headers, *added]


def _log_fields(scope: Scope) -> dict[str, Any]:
    return {"request": scope.get("state", {}).get("request_id"), "route": _route(scope)}


def _route(scope: Scope) -> str:
    route = scope.get("route")
    return str(getattr(route, "path", "unmatched"))
