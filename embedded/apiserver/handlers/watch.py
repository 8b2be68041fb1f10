"""Watch streams: the changes that concern one watcher, as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from embedded.api.scheme import ResourceType
from embedded.api.selectors import Predicate, predicate
from embedded.api.status_errors import gone
from embedded.apiserver import negotiation, query_options
from embedded.registry.registry import Registry
from embedded.registry.watcher import LaggedError, Subscription
from embedded.storage.sqlite import CompactedError, Event, encode

Json = dict[str, Any]

_BOOKMARK_EVERY = 30.0
_LONGEST = 3600.0


@dataclass(frozen=True)
class Watch:
    """One watch request."""

    registry: Registry
    resource: ResourceType
    namespace: str | None
    matches: Predicate | None
    bookmarks: bool
    form: negotiation.Form
    include: str
    seconds: float
    since: int | None
    """The revision to go on from; None to begin with what exists."""
    mark_beginning: bool
    """Say with a bookmark when all that exists has been sent."""

    async def lines(self) -> AsyncIterator[bytes]:
        """Chunks of whole lines, until the time is over or the watcher is too slow.

        A revision that can't be gone on from is told by an event ERROR, as a real server does it.
        """
        registry = self.registry
        try:
            if self.since is not None and self.since > registry.store.revision:
                # Of another cluster's life, or of this one's before its data was removed: who has it must list again.
                raise CompactedError(registry.store.revision)
            subscription = Subscription(registry.store, self.resource.key, self.since)
        except CompactedError as error:
            yield _framed("ERROR", encode(gone(error.oldest, self.since or 0).to_status()))
            return
        try:
            async for chunk in self._follow(subscription):
                yield chunk
        finally:
            subscription.close()

    async def _follow(self, subscription: Subscription) -> AsyncIterator[bytes]:
        store, clock = self.registry.store, asyncio.get_running_loop().time
        last = store.revision
        deadline = clock() + self.seconds
        try:
            if self.since is None and (existing := b"".join(self._existing())):
                yield existing
            while (left := deadline - clock()) > 0:
                try:
                    async with asyncio.timeout(min(left, _BOOKMARK_EVERY)):
                        await subscription.wait()
                except TimeoutError:
                    last = max(last, store.revision)
                events = subscription.take()
                last = events[-1].revision if events else last
                lines = [line for event in events if (line := self._line(event))]
                if not events and self.bookmarks:
                    lines.append(self._bookmark(last))
                if lines:
                    yield b"".join(lines)
        except LaggedError:
            yield _framed("ERROR", encode(gone(store.revision, last).to_status()))

    def _existing(self) -> Iterator[bytes]:
        revision = self.registry.store.revision
        for _, body in self.registry.store.scan(self.resource.key, self.namespace):
            if self.matches is None or self.matches(json.loads(body)):
                yield _framed("ADDED", self._shown(body))
        if self.mark_beginning and self.bookmarks:
            yield self._bookmark(revision, {"annotations": {"k8s.io/initial-events-end": "true"}})

    def _line(self, event: Event) -> bytes | None:
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
                # It has left the selector: for this watcher it is gone.
                kind = "DELETED"
            else:
                return None
        return _framed(kind, self._shown(event.body))

    def _shown(self, body: bytes) -> bytes:
        if self.form.shape == "object":
            return self.registry.in_version(self.resource, body)
        obj = json.loads(body)
        return encode(negotiation.one(self.form, self.resource, obj, include=self.include, now=self.registry.clock()))

    def _bookmark(self, revision: int, more: Json | None = None) -> bytes:
        metadata = {"resourceVersion": str(revision), "creationTimestamp": None, **(more or {})}
        obj = {"kind": self.resource.kind, "apiVersion": self.resource.api_version, "metadata": metadata}
        if self.form.shape == "Table":
            about = {"metadata": metadata, "columnDefinitions": [], "rows": []}
            obj = {"kind": "Table", "apiVersion": f"meta.k8s.io/{self.form.version}", **about}
        elif self.form.shape == "PartialObjectMetadata":
            obj = self.form.item(obj)
        return _framed("BOOKMARK", encode(obj))


def _framed(kind: str, body: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


def watch_of(
    registry: Registry,
    resource: ResourceType,
    namespace: str | None,
    query: Mapping[str, str],
    accept: str,
    name: str = "",
) -> Watch:
    """The watch that a query asks for: of a resource, or of the one object that is named.

    Raises:
        ApiError: 400 for a bad selector, 422 for options that contradict each other, 500 for a revision that is no
            number, as a real server has it.
    """
    query_options.check_watch(query)
    since = query_options.revision(query) or None
    # Who wants to be told first what exists goes on from there, whatever was seen before.
    initial = query_options.flag(query, "sendInitialEvents")
    timeout = query_options.number(query, "timeoutSeconds")
    # Without a wish the stream ends at a moment of the server's choice, so that clients don't all return at once.
    seconds = float(timeout) if timeout and timeout > 0 else random.uniform(1800, _LONGEST)  # noqa: S311
    fields = ",".join(filter(None, (query.get("fieldSelector", ""), f"metadata.name={name}" if name else "")))
    return Watch(
        registry,
        resource,
        namespace,
        predicate(query.get("labelSelector", ""), fields, resource.key, resource.selectable),
        query_options.flag(query, "allowWatchBookmarks"),
        negotiation.wanted(accept),
        query.get("includeObject", "Metadata"),
        min(seconds, _LONGEST * 24),
        None if initial else since,
        initial,
    )
