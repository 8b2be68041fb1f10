"""Watch streams: the changes that one client watches, as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from embedded.api.scheme import ResourceType
from embedded.api.selectors import Predicate, parse_selectors
from embedded.api.status_errors import resource_expired
from embedded.apiserver import negotiation, query_options
from embedded.registry.registry import Registry
from embedded.registry.watcher import Watcher, WatcherTooSlowError
from embedded.storage.sqlite import CompactedError, StoreEvent, encode_json

Json = dict[str, Any]

_BOOKMARK_INTERVAL = 30.0
_MAX_TIMEOUT = 3600.0


@dataclass(frozen=True)
class WatchStream:
    """The stream of one watch request."""

    registry: Registry
    resource: ResourceType
    namespace: str | None
    matches: Predicate | None
    allow_bookmarks: bool
    representation: negotiation.Representation
    include_object: str
    timeout: float
    since_revision: int | None
    """The revision to resume from; None to begin with the existing objects."""
    mark_initial_events_end: bool
    """Send a bookmark after the existing objects."""

    async def lines(self) -> AsyncIterator[bytes]:
        """Chunks of whole lines, until the timeout or until the client is too slow.

        A revision that can't be resumed from results in an ERROR event, as from a real server.
        """
        registry = self.registry
        try:
            if self.since_revision is not None and self.since_revision > registry.store.revision:
                # From a database that was deleted: the client must list again.
                raise CompactedError(registry.store.revision)
            subscription = Watcher(registry.store, self.resource.key, self.since_revision)
        except CompactedError as error:
            yield _frame_event(
                "ERROR", encode_json(resource_expired(error.oldest, self.since_revision or 0).to_status())
            )
            return
        try:
            async for chunk in self._follow(subscription):
                yield chunk
        finally:
            subscription.close()

    async def _follow(self, subscription: Watcher) -> AsyncIterator[bytes]:
        store, clock = self.registry.store, asyncio.get_running_loop().time
        last = store.revision
        deadline = clock() + self.timeout
        try:
            if self.since_revision is None and (existing := b"".join(self._initial_events())):
                yield existing
            while (left := deadline - clock()) > 0:
                try:
                    async with asyncio.timeout(min(left, _BOOKMARK_INTERVAL)):
                        await subscription.wait()
                except TimeoutError:
                    last = max(last, store.revision)
                events = subscription.drain()
                last = events[-1].revision if events else last
                lines = [line for event in events if (line := self._event_line(event))]
                if not events and self.allow_bookmarks:
                    lines.append(self._bookmark_line(last))
                if lines:
                    yield b"".join(lines)
        except WatcherTooSlowError:
            yield _frame_event("ERROR", encode_json(resource_expired(store.revision, last).to_status()))

    def _initial_events(self) -> Iterator[bytes]:
        revision = self.registry.store.revision
        for _, body in self.registry.store.scan(self.resource.key, self.namespace):
            if self.matches is None or self.matches(json.loads(body)):
                yield _frame_event("ADDED", self._render(body))
        if self.mark_initial_events_end and self.allow_bookmarks:
            yield self._bookmark_line(revision, {"annotations": {"k8s.io/initial-events-end": "true"}})

    def _event_line(self, event: StoreEvent) -> bytes | None:
        if self.namespace is not None and event.key.namespace != self.namespace:
            return None
        kind = event.type
        if self.matches is not None:
            was = event.previous is not None and self.matches(event.previous)
            if kind == "DELETED":
                if not was:
                    return None
            elif self.matches(event.object):
                kind = "MODIFIED" if was else "ADDED"
            elif was:
                # The object no longer matches the selector: it is deleted for this client.
                kind = "DELETED"
            else:
                return None
        return _frame_event(kind, self._render(event.body))

    def _render(self, body: bytes) -> bytes:
        if self.representation.shape == "object":
            return self.registry.convert(self.resource, body)
        obj = json.loads(body)
        return encode_json(
            negotiation.render_object(
                self.representation, self.resource, obj, include=self.include_object, now=self.registry.clock()
            )
        )

    def _bookmark_line(self, revision: int, more: Json | None = None) -> bytes:
        metadata = {"resourceVersion": str(revision), "creationTimestamp": None, **(more or {})}
        obj = {"kind": self.resource.kind, "apiVersion": self.resource.api_version, "metadata": metadata}
        if self.representation.shape == "Table":
            about = {"metadata": metadata, "columnDefinitions": [], "rows": []}
            obj = {"kind": "Table", "apiVersion": f"meta.k8s.io/{self.representation.version}", **about}
        elif self.representation.shape == "PartialObjectMetadata":
            obj = self.representation.render(obj)
        return _frame_event("BOOKMARK", encode_json(obj))


def _frame_event(kind: str, body: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


def parse_watch(
    registry: Registry,
    resource: ResourceType,
    namespace: str | None,
    query: Mapping[str, str],
    accept: str,
    name: str = "",
) -> WatchStream:
    """The watch that a query requests, of a resource or of the one object `name`.

    Raises:
        ApiError: 400 for an invalid selector, 422 for options that contradict each other, 500 for an invalid
            resourceVersion, as from a real server.
    """
    query_options.validate_watch_options(query)
    since = query_options.parse_revision(query, watch=True) or None
    # A stream of initial events starts with the existing objects, whatever resourceVersion is given.
    initial = query_options.parse_bool(query, "sendInitialEvents")
    timeout = query_options.parse_int(query, "timeoutSeconds")
    # Without a timeout the stream ends at a random time, so that clients don't all reconnect at once.
    seconds = float(timeout) if timeout and timeout > 0 else random.uniform(1800, _MAX_TIMEOUT)  # noqa: S311
    fields = ",".join(filter(None, (query.get("fieldSelector", ""), f"metadata.name={name}" if name else "")))
    return WatchStream(
        registry,
        resource,
        namespace,
        parse_selectors(query.get("labelSelector", ""), fields, resource.key, resource.selectable_fields),
        query_options.parse_bool(query, "allowWatchBookmarks"),
        negotiation.negotiate(accept),
        query.get("includeObject", "Metadata"),
        min(seconds, _MAX_TIMEOUT * 24),
        None if initial else since,
        initial,
    )
