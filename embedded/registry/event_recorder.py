"""Records Events about objects, which `kubectl describe` shows.

An Event that repeats an earlier one increments the count of that one. As in client-go, the caller does not wait until
an Event is stored: those of a fraction of a second are written together, in one transaction.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from embedded.api.scheme import EVENTS, ObjectRef, ResourceType
from embedded.registry.object_meta import format_time
from embedded.registry.registry import Registry
from embedded.storage.database import StorageError
from embedded.types import JsonObject

_log = logging.getLogger(__name__)

_MAX_RECORDED_EVENTS = 1000
_MAX_PENDING_EVENTS = 10_000
"""More are dropped, as in client-go: a burst must not take the memory of everything else."""
_MAX_BATCH = 50
"""Events that are written without a pause for other tasks."""
_WRITE_DELAY = 0.2
"""Seconds from an Event until it is stored, together with those that follow it."""
_MAX_NAME_PREFIX = 236
"""Characters of an object's name that its Events begin with, as in client-go."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An Event that is not stored yet."""

    involved: Mapping[str, str]
    type: str
    reason: str
    message: str
    nanoseconds: int
    timestamp: str

    @property
    def key(self) -> tuple[str, ...]:
        """Entries with the same key count as one Event."""
        field_path = self.involved.get("fieldPath", "")
        return self.involved["uid"], self.type, self.reason, self.message, field_path


class EventRecorder:
    """Writes the Events of one component. An Event that cannot be written is dropped, as in client-go.

    In an event loop, Events are stored a moment later; without one, at once.

    Args:
        host: the node of the component; empty when it belongs to no node.
    """

    def __init__(self, registry: Registry, component: str, host: str = "") -> None:
        self._registry = registry
        self._component = component
        self._host = host
        self._pending: deque[_Entry] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last_nanoseconds = 0
        self._recorded: dict[tuple[str, ...], str] = {}
        """The names of written Events by their content, oldest first."""

    def event(
        self,
        resource: ResourceType,
        obj: JsonObject,
        reason: str,
        message: str,
        *,
        event_type: Literal["Normal", "Warning"] = "Normal",
        field_path: str = "",
    ) -> None:
        """Record an Event about an object; `field_path` names a part of it, such as a container."""
        if len(self._pending) >= _MAX_PENDING_EVENTS:
            return
        metadata = obj["metadata"]
        involved = {"kind": resource.kind, "apiVersion": resource.api_version}
        involved |= {name: metadata[name] for name in ("namespace", "name", "uid", "resourceVersion")}
        if field_path:
            involved["fieldPath"] = field_path
        now = self._registry.clock()
        # A moment that belongs to no other Event: it is part of the name.
        self._last_nanoseconds = max(int(now.timestamp() * 1e9), self._last_nanoseconds + 1)
        self._pending.append(_Entry(involved, event_type, reason, message, self._last_nanoseconds, format_time(now)))
        self._schedule(_WRITE_DELAY)

    def flush(self) -> None:
        """Store all Events that wait."""
        while self._pending:
            self._write_batch()

    def _schedule(self, delay: float) -> None:
        if self._timer is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            self._timer = loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._write_batch()
        if self._pending:
            self._schedule(0.0)

    def _write_batch(self) -> None:
        writes: dict[tuple[str, str], tuple[JsonObject, JsonObject | None]] = {}
        for _ in range(min(_MAX_BATCH, len(self._pending))):
            entry = self._pending.popleft()
            namespace, name = entry.involved["namespace"], self._recorded.get(entry.key, "")
            found, stored = writes.get((namespace, name), (None, None))
            if name and found is None:
                found = stored = self._registry.find(ObjectRef(EVENTS, namespace, name))
            if found is None:
                found = self._new_event(entry)
                name = self._recorded[entry.key] = found["metadata"]["name"]
            else:
                counted = {"count": (found.get("count") or 1) + 1, "lastTimestamp": entry.timestamp}
                found = {**found, **counted, "metadata": dict(found["metadata"])}
            writes[namespace, name] = found, stored
        try:
            self._registry.store_events(writes.values())
        except StorageError as error:
            _log.warning("%d events of %s are lost: %s", len(writes), self._component, error)
        while len(self._recorded) > _MAX_RECORDED_EVENTS:
            del self._recorded[next(iter(self._recorded))]

    def _new_event(self, entry: _Entry) -> JsonObject:
        source = {"component": self._component, "host": self._host} if self._host else {"component": self._component}
        return {
            "kind": EVENTS.kind,
            "apiVersion": EVENTS.api_version,
            "metadata": {
                "name": f"{entry.involved['name'][:_MAX_NAME_PREFIX]}.{entry.nanoseconds:x}",
                "namespace": entry.involved["namespace"],
                "uid": str(uuid.uuid4()),
                "creationTimestamp": entry.timestamp,
            },
            "involvedObject": dict(entry.involved),
            "reason": entry.reason,
            "message": entry.message,
            "source": source,
            "firstTimestamp": entry.timestamp,
            "lastTimestamp": entry.timestamp,
            "count": 1,
            "type": entry.type,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
