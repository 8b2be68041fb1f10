"""Sends requests below one path to an application of their own, which has no middleware of the API around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


@dataclass(frozen=True)
class PathSwitch:
    """Requests whose path begins with `prefix` go to `below`, everything else to `other`."""

    prefix: str
    below: App
    other: App

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Pass one request on."""
        is_below = scope["type"] == "http" and scope["path"].startswith(self.prefix)
        await (self.below if is_below else self.other)(scope, receive, send)
