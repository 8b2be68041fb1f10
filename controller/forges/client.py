"""Sends requests to forges. Addresses are chosen by users: nothing of an answer is shown but its status code."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp

from controller.forges.requests import ForgeRequest

_TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
_MAX_WAIT = 3600.0
_MAX_BODY = 16 * 1024
_RETRIED = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Sent:
    """What came of a request.

    Attributes:
        problem: why the status is not set, as a sentence; empty if it is.
        retry: whether another try may help.
        wait: seconds after which the forge wants the next request, if it says so.
    """

    problem: str = ""
    retry: bool = False
    wait: float | None = None


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
            async with self._session.post(
                request.url, json=request.body, headers=dict(request.headers), allow_redirects=False
            ) as response:
                return await self._outcome(request, response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Sent(f"{request.host} does not answer ({type(error).__name__})", retry=True)

    async def _outcome(self, request: ForgeRequest, response: aiohttp.ClientResponse) -> Sent:
        if response.status < 300:
            return Sent()
        accepted = request.accepts.get(response.status)
        if accepted is not None and accepted.encode() in await response.content.read(_MAX_BODY):
            return Sent()
        wait = self._wait(response)
        problem = f"{request.host} answered {response.status}"
        if response.status in (401, 403) and wait is None:
            problem += ": the token is not valid, or has no right to set commit statuses"
        elif response.status == 404:
            problem += ": it does not know the repository or the commit, or the token has no access to it"
        return Sent(problem, retry=response.status in _RETRIED or wait is not None, wait=wait)

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


@contextlib.asynccontextmanager
async def open_forge_client() -> AsyncIterator[ForgeClient]:
    """A client for the time of a `with`."""
    async with ForgeClient() as client:
        yield client
