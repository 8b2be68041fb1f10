"""Sends requests to forges. Addresses are chosen by users: nothing of an answer is shown but its status code."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp

from controller.forges.requests import ForgeRequest

_TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
_MAX_WAIT = 3600.0
_MAX_BODY = 16 * 1024
_MAX_ANSWER = 4 * 1024 * 1024
_RETRIED = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Sent:
    """What came of a request.

    Attributes:
        problem: why the forge did not do it, as a sentence; empty if it did.
        retry: whether another try may help.
        wait: seconds after which the forge wants the next request, if it says so.
    """

    problem: str = ""
    retry: bool = False
    wait: float | None = None
    status: int = 0
    answer: Mapping[str, Any] = field(default_factory=dict)
    """What the forge answered, if that is a JSON object. It is for ids and tokens; nothing of it is shown."""


class ForgeClient:
    """An HTTP client for forges. Use it as an async context manager. `wall_clock`: seconds since 1970."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self._wall_clock = wall_clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, headers={"User-Agent": "c8s"}, trust_env=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: ForgeRequest) -> Sent:
        """Send a request. Never raises for what the forge does."""
        assert self._session is not None, "the client is used outside its `async with`"
        try:
            # The token must not follow a redirect to another host.
            async with self._session.request(
                request.method, request.url, json=request.body, headers=dict(request.headers), allow_redirects=False
            ) as response:
                return await self._outcome(request, response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Sent(f"{request.host} does not answer ({type(error).__name__})", retry=True)

    async def _outcome(self, request: ForgeRequest, response: aiohttp.ClientResponse) -> Sent:
        if response.status < 300:
            return Sent(status=response.status, answer=await _read_object(response))
        accepted = request.accepts.get(response.status)
        if accepted is not None and accepted.encode() in await response.content.read(_MAX_BODY):
            return Sent(status=response.status)
        wait = self._wait(response)
        problem = f"{request.host} answered {response.status}"
        if response.status in (401, 403) and wait is None:
            problem += ": the token is not valid, or has not the right that this needs"
        elif response.status == 404:
            problem += ": it does not know the repository or the commit, or the token has no access to it"
        retry = response.status in _RETRIED or wait is not None
        return Sent(problem, retry=retry, wait=wait, status=response.status)

    def _wait(self, response: aiohttp.ClientResponse) -> float | None:
        """What the forge asks for: `Retry-After`, or the reset of a used-up limit (GitHub, GitLab)."""
        for name, is_moment in (("Retry-After", False), ("X-RateLimit-Reset", True), ("RateLimit-Reset", True)):
            if is_moment and "0" not in (
                response.headers.get("X-RateLimit-Remaining"),
                response.headers.get("RateLimit-Remaining"),
            ):
                continue
            with contextlib.suppress(KeyError, ValueError):
                seconds = float(response.headers[name]) - (self._wall_clock() if is_moment else 0)
                return min(max(seconds, 1.0), _MAX_WAIT)
        return None


async def _read_object(response: aiohttp.ClientResponse) -> Mapping[str, Any]:
    """The JSON object of a response; empty for anything else."""
    data = b""
    async for chunk in response.content.iter_chunked(65_536):
        data += chunk
        if len(data) > _MAX_ANSWER:
            return {}
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextlib.asynccontextmanager
async def open_forge_client() -> AsyncIterator[ForgeClient]:
    """A client for the time of a `with`."""
    async with ForgeClient() as client:
        yield client
