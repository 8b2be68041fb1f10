"""Watches changes of the store. A watcher that is too slow is disconnected, so that writes never wait for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from embedded.storage.sqlite import SqliteStore, StoreEvent

_MAX_PENDING_EVENTS = 50_000
_MAX_PENDING_BYTES = 64 << 20


class WatcherTooSlowError(Exception):
    """The watcher was too slow and has missed changes. It must list again."""


class Watcher:
    """The changes of one resource (or of all) after a revision, in order and without a gap.

    Args:
        resource: a `ResourceType.key`, or None for every resource.
        since: a revision; None for "from now on".

    Raises:
        CompactedError: the changes since that revision are no longer kept.
    """

    def __init__(self, store: SqliteStore, resource: str | None = None, since: int | None = None) -> None:
        self._resource = resource
        self._pending: deque[StoreEvent] = deque()
        self._wake = asyncio.Event()
        self._lagged = False
        self._pending_bytes = 0
        if since is not None:
            self._pending.extend(store.events_since(since, resource))
        self._unsubscribe: Callable[[], None] | None = store.subscribe(self._receive)

    def close(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _matches(self, event: StoreEvent) -> bool:
        return self._resource is None or event.key.resource == self._resource

    def _receive(self, event: StoreEvent) -> None:
        if not self._matches(event):
            return
        if len(self._pending) >= _MAX_PENDING_EVENTS or self._pending_bytes + event.size > _MAX_PENDING_BYTES:
            self._lagged = True
            self._pending.clear()
            self.close()
        else:
            self._pending_bytes += event.size
            self._pending.append(event)
        self._wake.set()

    def drain(self) -> list[StoreEvent]:
        """The changes since the last call; does not wait.

        Raises:
            WatcherTooSlowError: some were lost.
        """
        if self._lagged:
            raise WatcherTooSlowError
        events = list(self._pending)
        self._pending_bytes = 0
        self._pending.clear()
        self._wake.clear()
        return events

    async def wait(self) -> None:
        """Wait until there are changes to drain."""
        await self._wake.wait() if not self._pending else None

    async def __aiter__(self) -> AsyncIterator[StoreEvent]:
        try:
            while True:
                for event in self.drain():
                    yield event
                await self.wait()
        finally:
            self.close()
