"""The operator's own port: health, readiness, metrics and, for API processes of the installation, the hub's live logs.

Only the leader has logs. Users call the API, not this port.
"""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from controller.api.readiness import Readiness
from controller.log_relay.auth import PROOF_HEADER, SCHEME, sign_response, verify_request
from controller.log_relay.protocol import encode
from controller.log_relay.publisher import RunLogPublisher
from controller.logs.live.hub import LogHub
from controller.logs.model import Stream

LIVE_PATH = "/internal/v1/live"
MAX_BODY_BYTES = 1024 * 1024
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass
class OperatorServer:
    """The operator port's application.

    `is_leader` says whether there are logs to stream; `may_read_metrics` is called with the client's bearer token.
    """

    hub: LogHub
    key: bytes
    address: str
    readiness: Readiness
    is_leader: Callable[[], bool]
    metrics: Callable[[], bytes]
    may_read_metrics: Callable[[str], Awaitable[bool]]
    wall_clock: Callable[[], float] = field(default=time.time)

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/healthz", self._health),
                Route("/readyz", self._ready),
                Route("/metrics", self._metrics),
                Route(LIVE_PATH, self._stream_run_logs, methods=["POST"]),
            ]
        )

    async def _health(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, request: Request) -> Response:
        document = self.readiness.document()
        return JSONResponse(document, status_code=200 if document["ready"] else 503)

    async def _metrics(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return PlainTextResponse("send a token\n", 401, {"WWW-Authenticate": "Bearer"})
        if not await self.may_read_metrics(token.strip()):
            return PlainTextResponse("the token is not permitted to get /metrics\n", 403)
        return Response(self.metrics(), media_type=METRICS_TYPE)

    async def _stream_run_logs(self, request: Request) -> Response:
        body = await _read_body(request)
        if body is None:
            return PlainTextResponse("the request is too large\n", 413)
        header = request.headers.get("authorization", "")
        nonce = verify_request(self.key, header, self.address, body, now=self.wall_clock())
        if nonce is None:
            return PlainTextResponse("only an API of this installation is served\n", 401, {"WWW-Authenticate": SCHEME})
        if not self.is_leader():
            return PlainTextResponse("another operator leads\n", 503, {"Retry-After": "1"})
        try:
            asked = json.loads(body)
            namespace, run_uid = str(asked["namespace"]), str(asked["uid"])
            have = {
                Stream(namespace, run_uid, str(slug), int(attempt), str(container)): int(number)
                for slug, attempt, container, number in asked["have"]
            }
            # An API of an earlier version does not know the message.
            partial_lines = asked.get("partial") is True
        except (ValueError, KeyError, TypeError, RecursionError):
            return PlainTextResponse("the request can't be read\n", 400)
        feed = RunLogPublisher(self.hub, namespace, run_uid, have, self.is_leader, partial_lines=partial_lines)
        headers = {PROOF_HEADER: sign_response(self.key, nonce), "Cache-Control": "no-store"}
        return StreamingResponse(_encode_messages(feed), media_type="application/octet-stream", headers=headers)


async def _encode_messages(feed: RunLogPublisher) -> AsyncIterator[bytes]:
    async with aclosing(feed.messages()) as messages:
        async for message in messages:
            yield encode(message)


async def _read_body(request: Request) -> bytes | None:
    """The body; None if it is too large."""
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > MAX_BODY_BYTES:
            return None
    return bytes(found)
