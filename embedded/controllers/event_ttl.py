"""Forgets Events an hour after they were last said, as an API server's default has it."""

from __future__ import annotations

from datetime import datetime

from embedded.api.scheme import EVENTS
from embedded.api.status_errors import ApiError
from embedded.controllers.delay_queue import Key, Remind
from embedded.registry.registry import Registry
from embedded.storage.sqlite import Event

KEPT = 3600.0
"""Seconds."""


class EventExpiry:
    """Looks every ten minutes, which is cheaper than a reminder for each."""

    def __init__(self, registry: Registry, remind: Remind) -> None:
        self._registry = registry
        self._remind = remind

    def start(self) -> None:
        self._remind(self._sweep, ("", ""), 0.0)

    def observe(self, event: Event) -> None:
        """Nothing follows from a change."""

    def _sweep(self, key: Key) -> None:
        now = self._registry.clock()
        for event in self._registry.list(EVENTS):
            metadata = event["metadata"]
            said = event.get("lastTimestamp") or event.get("eventTime") or metadata["creationTimestamp"]
            if (now - datetime.fromisoformat(said)).total_seconds() > KEPT:
                self._forget(metadata["namespace"], metadata["name"])
        self._remind(self._sweep, key, KEPT / 6)

    def _forget(self, namespace: str, name: str) -> None:
        try:
            self._registry.delete(EVENTS, namespace, name)
        except ApiError as error:
            if error.code != 404:
                raise
