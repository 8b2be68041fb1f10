"""Deletes Events one hour after they were last written, the default of a real API server.

The oldest also go when there are too many: the Events of a busy hour must not fill the disk.
"""

from __future__ import annotations

from datetime import datetime

from embedded.api.scheme import EVENTS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.controllers.delay_queue import EnqueueAfter, Key
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StoreEvent

EVENT_TTL = 3600.0
"""Seconds."""
MAX_EVENTS = 50_000
_MAX_DELETIONS = 100
"""Events that are deleted without a pause for other tasks."""
_CHECK_INTERVAL = 60.0
"""Seconds between two searches for expired Events."""


class EventTtlController:
    """Keeps the Events in the order of their last write, so that a check looks only at those that have expired."""

    def __init__(self, registry: Registry, enqueue_after: EnqueueAfter, max_events: int = MAX_EVENTS) -> None:
        self._registry = registry
        self._enqueue_after = enqueue_after
        self._max_events = max_events
        self._written: dict[Key, float] = {}
        """When each Event was last written, as a POSIX time; oldest first."""

    def start(self) -> None:
        found: dict[Key, float] = {}
        for event in self._registry.list(EVENTS):
            metadata = event["metadata"]
            last_seen = event.get("lastTimestamp") or event.get("eventTime") or metadata["creationTimestamp"]
            found[metadata["namespace"], metadata["name"]] = datetime.fromisoformat(last_seen).timestamp()
        self._written = dict(sorted(found.items(), key=lambda item: item[1]))
        self._enqueue_after(self._delete_expired, ("", ""), 0.0)

    def observe(self, event: StoreEvent) -> None:
        if event.key.resource != EVENTS.key:
            return
        key = (event.key.namespace, event.key.name)
        self._written.pop(key, None)
        if event.type == "DELETED":
            return
        self._written[key] = self._registry.clock().timestamp()
        if len(self._written) > self._max_events:
            self._enqueue_after(self._delete_expired, ("", ""), 0.0)

    def _delete_expired(self, key: Key) -> None:
        expired = self._registry.clock().timestamp() - EVENT_TTL
        for _ in range(_MAX_DELETIONS):
            oldest = next(iter(self._written), None)
            if oldest is None or (self._written[oldest] > expired and len(self._written) <= self._max_events):
                self._enqueue_after(self._delete_expired, key, _CHECK_INTERVAL)
                return
            del self._written[oldest]
            self._delete(*oldest)
        self._enqueue_after(self._delete_expired, key, 0.0)

    def _delete(self, namespace: str, name: str) -> None:
        try:
            self._registry.delete(ObjectRef(EVENTS, namespace, name))
        except ApiError as error:
            if error.code != 404:
                raise
