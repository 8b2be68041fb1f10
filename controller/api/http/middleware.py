"""What every request passes before it reaches a route: pure ASGI, because the framework's own wrapper costs a
task a call.

From the outside in: a request id and the answer to unforeseen errors, the security headers, the host, the origin, the
size of the body. Who the caller is and what they may do is decided per route (access.py), not here.
"""

import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from controller.api.http import problems

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
PROBE_PATHS = frozenset({"/healthz", "/readyz"})
JSON_LIMIT = 2 * 1024 * 1024
MANIFEST_LIMIT = 32 * 1024 * 1024
_UPLOADS = re.compile(r"/api/v1/(objects/|namespaces/[^/]+/sources/)")
_MANIFEST = re.compile(r"/api/v1/agent/artifacts/[^/]+/[^/]+/manifest")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[-a-z0-9_.]+)(?::[0-9]{1,5})?")
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

log = logging.getLogger("c8s.api")


@dataclass(frozen=True)
class RequestPolicy:
    """Which callers the listening socket is meant for.

    `hosts` are names the API answers to besides the loopback names; `origins` are web origins
    (`https://host:port`) whose pages may call it besides pages of the API's own origin.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    json_limit: int = JSON_LIMIT
    new_id: Callable[[], str] = field(default=lambda: "-")
    observe: Callable[[str, str, int, float], None] = field(default=lambda method, route, status, seconds: None)


class BodyTooLargeError(HTTPException):
    """Raised out of `receive` when a request's body passes the limit; ends as a problem `too-large`.

    It is the framework's kind of error, because the framework takes any other for a body that can't be parsed.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(413, _too_large(limit).detail)
        self.limit = limit


def body_limit(path: str, policy: RequestPolicy) -> int | None:
    """How many bytes a request to this path may carry; None for uploads, whose routes count for themselves."""
    if _UPLOADS.match(path):
        return None
    return MANIFEST_LIMIT if _MANIFEST.fullmatch(path) else policy.json_limit


class Entrance:
    """The outermost layer: checks the request against a `Doorway` and turns what goes wrong into problems."""

    def __init__(self, app: App, doorway: RequestPolicy) -> None:
        self._app = app
        self._doorway = doorway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._doorway)
        started = time.perf_counter()
        try:
            refusal = check_request(scope, self._doorway)
            if refusal is not None:
                await exchange.refuse(refusal)
            else:
                await self._app(scope, exchange.receive, exchange.send)
        except BodyTooLargeError as error:
            await exchange.refuse(_too_large(error.limit))
        except (ClientDisconnect, WebSocketDisconnect):
            # Leaving early is the caller's right, and nobody is left to answer.
            log.info("the caller left early", extra={"request": exchange.id, "route": _route(scope)})
        except Exception:  # the boundary: one request must never end the process
            log.exception("a request failed", extra={"request": exchange.id, "route": _route(scope)})
            await exchange.refuse(
                problems.ApiProblemError("internal", "the controller failed on this request; its log says why")
            )
        finally:
            method = scope.get("method", "WEBSOCKET")
            self._doorway.observe(method, _route(scope), exchange.status, time.perf_counter() - started)


class _Exchange:
    """One request and its answer: counts the body in, adds the headers out, and knows whether an answer has begun."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, doorway: RequestPolicy) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = body_limit(scope["path"], doorway)
        self._read = 0
        self.id = doorway.new_id()
        self.status = 0
        self._complete = False
        scope.setdefault("state", {})["request_id"] = self.id

    async def receive(self) -> Message:
        message = await self._receive()
        if self._limit is not None and message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._limit:
                raise BodyTooLargeError(self._limit)
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            message = {**message, "headers": _with_headers(message.get("headers", ()), self.id)}
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" or (kind.endswith("http.response.body") and not message.get("more_body")):
            self._complete = True
        await self._send(message)

    async def refuse(self, problem: problems.ApiProblemError) -> None:
        """Answers with the problem, unless an answer has begun: then the connection's end must speak for itself."""
        socket = self._scope["type"] == "websocket"
        if self._complete:
            return
        if self.status:
            if not socket:
                raise ConnectionAbortedError(f"request {self.id}: the answer broke off")
            await self.send({"type": "websocket.close", "code": 1011})
            return
        prefix = "websocket." if socket else ""
        headers = [(b"content-type", problems.MEDIA_TYPE.encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
        body = problems.encode_problem(problem.document(self.id))
        start = {"type": f"{prefix}http.response.start", "status": problem.kind.status, "headers": headers}
        await self.send(start)
        await self._send({"type": f"{prefix}http.response.body", "body": body})


def check_request(scope: Scope, policy: RequestPolicy) -> problems.ApiProblemError | None:
    """Why this request must not reach a route, from its head alone; None when it may.

    A page in a browser can be made to send requests to a loopback address under a name of its own (DNS
    rebinding) or from an origin of its own; both show in the head, which a page can't forge.
    """
    host = _header(scope, b"host")
    name = host_name(host)
    if scope["path"] not in PROBE_PATHS and name not in LOOPBACK_NAMES and name not in policy.hosts:
        detail = "the Host header names a host that this API is not configured for (see --allowed-host)"
        return problems.ApiProblemError("host-not-allowed", detail)
    origin = _header(scope, b"origin")
    if origin and origin not in policy.origins and origin.partition("://")[2] != host:
        return problems.ApiProblemError(
            "origin-not-allowed", "only pages of the API's own or a configured origin may call it"
        )
    length = _header(scope, b"content-length")
    limit = body_limit(scope["path"], policy)
    if limit is not None and length.isdigit() and int(length[:20]) > limit:
        return _too_large(limit)
    return None


def _too_large(limit: int) -> problems.ApiProblemError:
    return problems.ApiProblemError("too-large", f"the body is larger than the {limit} bytes that this call takes")


def host_name(host: str) -> str:
    """A Host header without its port, in lower case; IPv6 addresses keep their brackets. Empty for what is no host."""
    match = _HOST.fullmatch(host.strip().lower())
    return match[1].removesuffix(".") if match else ""


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


def _route(scope: Scope) -> str:
    route = scope.get("route")
    return str(getattr(route, "path", "unmatched"))
