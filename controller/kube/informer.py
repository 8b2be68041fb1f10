"""An informer: a cache of one resource that follows the API server and reports changes."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

from controller.kube.client import PAGE_SIZE, KubeClient, WatchEvent, sleep
from controller.kube.errors import GoneError, KubeError
from controller.kube.resources import Resource

Json = dict[str, Any]
ObjectKey = tuple[str, str]
EventHandler = Callable[[str, Json | None, Json | None], None]
_log = logging.getLogger(__name__)

_INITIAL_BACKOFF, _MAX_BACKOFF = 0.05, 10.0
_WATCH_SECONDS = 300
_STORED_AT_ONCE = 200
"""How many objects of a list are reported before other tasks get their turn."""
# A watch that lasted so long shows that the server is healthy.
_HEALTHY_WATCH_SECONDS = 30.0


def object_key(obj: Json) -> ObjectKey:
    """(namespace, name); the namespace is empty at cluster scope."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


class Informer:
    """Lists a resource once, then watches it; after a gap it lists again and reports the difference.

    Handlers are called with (type, old, new): ("ADDED", None, new), ("MODIFIED", old, new), ("DELETED", old, None).
    They must be quick and must not modify the objects, which belong to the cache.

    Args:
        page_size: how many objects are read at once; fewer for large ones, which are decoded in one piece.
        transform: what is kept of an object; it keeps the metadata that identifies the object and its version.
        pause: waits for so many seconds.
        jitter: a random number in [0, 1), so that clients of a restarted server do not reconnect all at once.
        clock: seconds on a monotonic clock.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = PAGE_SIZE,
        transform: Callable[[Json], Json] | None = None,
        pause: Callable[[float], Awaitable[None]] = sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._page_size = page_size
        self._transform = transform
        self._pause = pause
        self._jitter = jitter
        self._clock = clock
        self._objects: dict[ObjectKey, Json] = {}
        self._handlers: list[EventHandler] = []
        self._sync_handlers: list[Callable[[str], None]] = []
        self._synced = asyncio.Event()
        self._version = ""
        """Up to where the cache follows the server; empty for a list."""
        self.healthy = False
        """Whether the last list or watch worked."""

    def on_change(self, handler: EventHandler) -> None:
        self._handlers.append(handler)

    def on_sync(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with the resourceVersion after each whole list: changes before it may have been missed."""
        self._sync_handlers.append(handler)

    def get(self, namespace: str, name: str) -> Json | None:
        return self._objects.get((namespace, name))

    def list(self, namespace: str | None = None) -> Iterator[Json]:
        """The cached objects, in no particular order."""
        for (found, _), obj in list(self._objects.items()):
            if namespace is None or found == namespace:
                yield obj

    async def wait_for_sync(self) -> None:
        """Return once the first list is in the cache."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow the resource until cancelled."""
        backoff = _INITIAL_BACKOFF
        while True:
            started_at, before = self._clock(), self._version
            try:
                if not self._version:
                    self._version = await self._list()
                await self._watch()
            except GoneError:
                self._version = ""
            except KubeError as error:
                self.healthy = False
                _log.warning("%s: %s; trying again", self._resource.plural, error)
            # A watch that broke after it reported changes is retried soon: more changes are likely.
            if self._clock() - started_at >= _HEALTHY_WATCH_SECONDS or (before and self._version not in ("", before)):
                backoff = _INITIAL_BACKOFF
            # Also after a watch that ended normally: a server that ends watches at once must not cause a tight loop.
            await self._pause(backoff * (0.5 + self._jitter()))
            backoff = min(backoff * 2, _MAX_BACKOFF)

    async def _watch(self) -> None:
        """Take in what changes until the server ends the watch."""
        events = self._client.watch(
            self._resource,
            self._namespace,
            resource_version=self._version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            timeout_seconds=_WATCH_SECONDS,
            on_open=self._mark_healthy,
        )
        async with aclosing(events):
            async for event in events:
                self._handle_event(event)
                self._version = str(event.object["metadata"]["resourceVersion"])

    def _mark_healthy(self) -> None:
        self.healthy = True

    async def _list(self) -> str:
        answer = await self._client.list(
            self._resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            page_size=self._page_size,
            transform=self._transform,
        )
        fresh = {object_key(obj): obj for obj in answer["items"]}
        for key in [key for key in self._objects if key not in fresh]:
            self._notify("DELETED", self._objects.pop(key), None)
        for number, (key, obj) in enumerate(fresh.items(), start=1):
            self._store(key, obj)
            if number % _STORED_AT_ONCE == 0:
                await asyncio.sleep(0)
        version = str(answer["metadata"]["resourceVersion"])
        self.healthy = True
        for listed in self._sync_handlers:
            listed(version)
        self._synced.set()
        return version

    def _handle_event(self, event: WatchEvent) -> None:
        if event.type == "BOOKMARK":
            return
        key = object_key(event.object)
        if event.type == "DELETED":
            # Reported with the last state on the server, which may be newer than the cached one.
            self._objects.pop(key, None)
            self._notify("DELETED", event.object, None)
        else:
            self._store(key, event.object if self._transform is None else self._transform(event.object))

    def _store(self, key: ObjectKey, obj: Json) -> None:
        old = self._objects.get(key)
        if old is not None and old["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]:
            return
        self._objects[key] = obj
        if old is not None and old["metadata"].get("uid") != obj["metadata"].get("uid"):
            # Deleted and created again between two lists: another object of the same name.
            self._notify("DELETED", old, None)
            old = None
        self._notify("MODIFIED" if old else "ADDED", old, obj)

    def _notify(self, kind: str, old: Json | None, new: Json | None) -> None:
        for handler in self._handlers:
            handler(kind, old, new)
