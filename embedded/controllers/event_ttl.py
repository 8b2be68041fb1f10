"""Deletes Events one hour after they last occurred, the default of a real API server."""

from __future__ import annotations

from datetime import datetime

from embedded.api.scheme import EVENTS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.controllers.delay_queue import EnqueueAfter, Key
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StoreEvent

EVENT_TTL = 3600.0
"""Seconds."""


class EventTtlController:
    """Checks all Events every ten minutes, which is cheaper than a timer for each."""

    def __init__(self, registry: Registry, enqueue_after: EnqueueAfter) -> None:
        self._registry = registry
        self._enqueue_after = enqueue_after

    def start(self) -> None:
        self._enqueue_after(self._delete_expired, ("", ""), 0.0)

    def observe(self, event: StoreEvent) -> None:
        """Changes are ignored: Events expire by time only."""

    def _delete_expired(self, key: Key) -> None:
        now = self._registry.clock()
        for event in self._registry.list(EVENTS):
            metadata = event["metadata"]
            last_seen = event.get("lastTimestamp") or event.get("eventTime") or metadata["creationTimestamp"]
            if (now - datetime.fromisoformat(last_seen)).total_seconds() > EVENT_TTL:
                self._delete(metadata["namespace"], metadata["name"])
        self._enqueue_after(self._delete_expired, key, EVENT_TTL / 6)

    def _delete(self, namespace: str, name: str) -> None:
        try:
            self._registry.delete(ObjectRef(EVENTS, namespace, name))
        except ApiError as error:
            if error.code != 404:
                raise
