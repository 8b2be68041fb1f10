"""Readiness of the API, checked from outside of the cluster."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from kind.errors import NotReadyError

_TIMEOUT = 5.0
_POLL_INTERVAL = 0.2


async def check_ready(url: str) -> str | None:
    """None if the API is ready, otherwise the reason as a sentence."""
    return await asyncio.to_thread(_ask, url)


async def wait_until_ready(
    url: str, *, timeout: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Wait until the API is ready. Raises NotReadyError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while (reason := await check_ready(url)) is not None:
        if time.monotonic() > deadline:
            raise NotReadyError(
                f"the API at {url} is not ready after {timeout:.0f} s: {reason}",
                "`kubectl -n c8s-system logs deploy/c8s-api` has the details.",
            )
        await sleep(_POLL_INTERVAL)


def _ask(url: str) -> str | None:
    parts = urlsplit(url)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(parts.hostname or "", parts.port, timeout=_TIMEOUT)
    try:
        connection.request("GET", f"{parts.path}/readyz")
        answer = connection.getresponse()
        body = answer.read(10_000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return f"does not respond: {error or type(error).__name__}"
    finally:
        connection.close()
    return None if answer.status == 200 else _reason(body) or f"responds with HTTP {answer.status}"


def _reason(body: str) -> str:
    """What the API waits for, from its readiness response."""
    try:
        waiting = json.loads(body)["waitingFor"]
        return "; ".join(f"{each['part']}: {each['why']}" for each in waiting)
    except (ValueError, KeyError, TypeError):
        return body[:200].strip()
