"""A watcher's place in the stream of changes. A watcher that does not keep up is cut off, never waited for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from embedded.storage.sqlite import Event, Store

_LIMIT = 50_000
_LIMIT_BYTES = 64 << 20


class LaggedError(Exception):
    """The watcher was too slow and has missed changes: it has to list again."""


class Subscription:
    """The changes of one resource (or of all) after a revision, in order and without a gap.

    Args:
        resource: a `ResourceType.key`, or None for every resource.
        since: a revision; None for "from now on".

    Raises:
        CompactedError: the changes since that revision are no longer kept.
    """

    def __init__(self, store: Store, resource: str | None = None, since: int | None = None) -> None:
        self._resource = resource
        self._waiting: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._lagged = False
        self._bytes = 0
        if since is not None:
            self._waiting.extend(store.since(since, resource))
        self._unsubscribe: Callable[[], None] | None = store.subscribe(self._receive)

    def close(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _concerns(self, event: Event) -> bool:
        return self._resource is None or event.key.resource == self._resource

    def _receive(self, event: Event) -> None:
        if not self._concerns(event):
            return
        if len(self._waiting) >= _LIMIT or self._bytes + event.size > _LIMIT_BYTES:
            self._lagged = True
            self._waiting.clear()
            self.close()
        else:
            self._bytes += event.size
            self._waiting.append(event)
        self._wake.set()

    def take(self) -> list[Event]:
        """The changes that have come since the last call; does not wait.

        Raises:
            LaggedError: some were lost.
        """
        if self._lagged:
            raise LaggedError
        events = list(self._waiting)
        self._bytes = 0
        self._waiting.clear()
        self._wake.clear()
        return events

    async def wait(self) -> None:
        """Return when there is something to take."""
        await self._wake.wait() if not self._waiting else None

    async def __aiter__(self) -> AsyncIterator[Event]:
        try:
            while True:
                for event in self.take():
                    yield event
                await self.wait()
        finally:
            self.close()
