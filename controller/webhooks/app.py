"""The receiver over HTTP: strangers reach it, so that what comes in is bounded before it is looked at.

`POST /webhooks/{provider}` and `POST /webhooks/{provider}/{namespace}/{connection}`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from controller.webhooks.admission import Admission
from controller.webhooks.providers import PATHS
from controller.webhooks.receiver import Answer, Receiver, Request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PREFIX = "/webhooks/"
MAX_BODY_BYTES = 25 * 1024 * 1024
"""What GitHub sends at most; the others send less."""
BODY_SECONDS = 30.0
READY_SECONDS = 5.0
HANDLE_SECONDS = 10.0
"""GitHub and GitLab give up after 10 s."""
_PATH = re.compile(
    r"/webhooks/([a-z-]{1,32})(?:/([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)/([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?))?"
)
_log = logging.getLogger("c8s.webhooks")


class _RefusedBodyError(Exception):
    """The body is too large, too slow, or broke off; `answer` says so."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class WebhookApp:
    """The ASGI application."""

    def __init__(self, receiver: Receiver, admission: Admission, ready: asyncio.Event) -> None:
        self._receiver = receiver
        self._admission = admission
        self._ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._answer(scope, receive)
        except Exception:  # the boundary: one delivery must not end the process
            _log.exception("a delivery failed")
            answer = Answer(500, {"error": "the receiver failed on this delivery; see its log"})
        await _send(send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        found = _PATH.fullmatch(scope["path"])
        if found is None or found[1] not in PATHS:
            return Answer(404, {"error": f"there is no such path; a provider is one of {', '.join(sorted(PATHS))}"})
        if scope["method"] != "POST":
            return Answer(405, {"error": "deliveries come with POST"}, {"allow": "POST"})
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        address = str((scope.get("client") or ("",))[0])
        announced = headers.get("content-length", "")
        size = int(announced) if announced.isascii() and announced.isdigit() and len(announced) < 12 else MAX_BODY_BYTES
        if size > MAX_BODY_BYTES:
            return _too_large()
        refusal = self._admission.enter(address, size)
        if refusal is not None:
            return refusal
        try:
            body = await _read_body(receive)
            if not await self._is_ready():
                return Answer(503, {"error": "the receiver is starting; deliver it again"}, {"retry-after": "2"})
            target = (found[2], found[4]) if found[2] else None
            async with asyncio.timeout(HANDLE_SECONDS):
                answer = await self._receiver.receive(Request(found[1], headers, body, target))
        except _RefusedBodyError as error:
            return error.answer
        except TimeoutError:
            return Answer(503, {"error": "the cluster takes too long; deliver it again"}, {"retry-after": "5"})
        finally:
            self._admission.leave(size)
        if answer.is_unverified:
            self._admission.count_refusal(address)
        return answer

    async def _is_ready(self) -> bool:
        """Whether the connections are known. A delivery waits for that a while: GitHub does not deliver it again."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            return False
        return True


async def _read_body(receive: Receive) -> bytes:
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise _RefusedBodyError(Answer(400, {"error": "the body broke off"}))
                part = message.get("body", b"")
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise _RefusedBodyError(_too_large())
                parts.append(part)
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise _RefusedBodyError(Answer(408, {"error": f"the body took longer than {BODY_SECONDS:g} s"})) from None


def _too_large() -> Answer:
    return Answer(413, {"error": f"the body is larger than {MAX_BODY_BYTES // (1024 * 1024)} MiB"})


async def _send(send: Send, answer: Answer) -> None:
    body = json.dumps(answer.document).encode() + b"\n"
    headers = {"content-type": "application/json", "content-length": str(len(body)), "cache-control": "no-store"}
    headers |= {"x-content-type-options": "nosniff", **answer.headers}
    start = {"type": "http.response.start", "status": answer.status}
    await send({**start, "headers": [(name.encode(), value.encode()) for name, value in headers.items()]})
    await send({"type": "http.response.body", "body": body})
