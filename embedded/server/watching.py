"""Watch streams: the changes that concern one watcher, as lines of JSON."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from embedded.machinery.errors import ApiError, gone
from embedded.machinery.registry import Registry
from embedded.machinery.resources import ResourceType
from embedded.machinery.selectors import Predicate, predicate
from embedded.machinery.subscription import LaggedError, Subscription
from embedded.machinery.tables import table
from embedded.server.listing import table_wanted
from embedded.storage.store import CompactedError, Event, encode

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
    as_table: bool
    include: str
    seconds: float
    since: int | None
    """The revision to go on from; None to begin with what exists."""

    async def lines(self) -> AsyncIterator[bytes]:
        """Chunks of whole lines, until the time is over or the watcher is too slow."""
        registry = self.registry
        subscription = Subscription(registry.store, self.resource.key, self.since)
        last = registry.store.revision
        deadline = asyncio.get_running_loop().time() + self.seconds
        try:
            if self.since is None and (existing := b"".join(self._existing())):
                yield existing
            while (left := deadline - asyncio.get_running_loop().time()) > 0:
                try:
                    async with asyncio.timeout(min(left, _BOOKMARK_EVERY)):
                        await subscription.wait()
                except TimeoutError:
                    last = max(last, registry.store.revision)
                events = subscription.take()
                last = events[-1].revision if events else last
                lines = [line for event in events if (line := self._line(event))]
                if not events and self.bookmarks:
                    lines.append(self._bookmark(last))
                if lines:
                    yield b"".join(lines)
        except LaggedError:
            yield _framed("ERROR", encode(gone(registry.store.revision, last).to_status()))
        finally:
            subscription.close()

    def _existing(self) -> Iterator[bytes]:
        for _, body in self.registry.store.scan(self.resource.key, self.namespace):
            if self.matches is None or self.matches(json.loads(body)):
                yield _framed("ADDED", self._shown(json.loads(body), body))

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
        return _framed(kind, self._shown(event.object, event.body))

    def _shown(self, obj: Json, body: bytes) -> bytes:
        if not self.as_table:
            return body
        metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        return encode(table(self.resource, [obj], metadata, include=self.include, now=self.registry.clock()))

    def _bookmark(self, revision: int) -> bytes:
        obj = {
            "kind": self.resource.kind,
            "apiVersion": self.resource.api_version,
            "metadata": {"resourceVersion": str(revision), "creationTimestamp": None},
        }
        return _framed("BOOKMARK", encode(obj))


def _framed(kind: str, body: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + body + b"}\n"


def watch_of(
    registry: Registry, resource: ResourceType, namespace: str | None, query: Mapping[str, str], accept: str
) -> Watch:
    """The watch that a query asks for.

    Raises:
        ApiError: 400 for a bad selector, 410 for a revision whose changes are no longer kept, 500 for one that is no
            number, as a real server has it.
    """
    version = query.get("resourceVersion", "")
    if version and not version.isdigit():
        why = f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
        raise ApiError(500, "", why)
    since = int(version) if version not in ("", "0") else None
    if since is not None:
        if since > registry.store.revision:
            # Of another cluster's life, or of this one's before its data was removed: whoever has it must list again.
            raise gone(registry.store.revision, since)
        try:
            registry.store.since(since)
        except CompactedError as error:
            raise gone(error.oldest, since) from None
    timeout = query.get("timeoutSeconds", "")
    # Without a wish the stream ends at a moment of the server's choice, so that clients don't all return at once.
    seconds = float(timeout) if timeout.isdigit() and int(timeout) else random.uniform(1800, _LONGEST)  # noqa: S311
    return Watch(
        registry,
        resource,
        namespace,
        predicate(query.get("labelSelector", ""), query.get("fieldSelector", ""), resource.key),
        query.get("allowWatchBookmarks") in ("true", "1"),
        table_wanted(accept),
        query.get("includeObject", "Metadata"),
        min(seconds, _LONGEST * 24),
        since,
    )
