"""Records Events about objects, which `kubectl describe` shows.

An Event that repeats an earlier one increments the count of that one.
"""

from __future__ import annotations

from typing import Literal

from embedded.api.scheme import EVENTS, ObjectRef, ResourceType
from embedded.api.status_errors import ApiError
from embedded.registry.registry import Registry
from embedded.types import JsonObject

_MAX_RECORDED_EVENTS = 1000
_MAX_NAME_PREFIX = 200


class EventRecorder:
    """Writes the Events of one component. An Event that cannot be written is dropped, as in client-go."""

    def __init__(self, registry: Registry, component: str) -> None:
        self._registry = registry
        self._component = component
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
        metadata = obj["metadata"]
        key = (str(metadata["uid"]), event_type, reason, message, field_path)
        try:
            if not self._increment(metadata["namespace"], key):
                self._recorded[key] = self._create(resource, metadata, key)
        except ApiError:
            # The namespace is being deleted, or the quota of Events is used up.
            return
        while len(self._recorded) > _MAX_RECORDED_EVENTS:
            del self._recorded[next(iter(self._recorded))]

    def _increment(self, namespace: str, key: tuple[str, ...]) -> bool:
        name = self._recorded.get(key)
        found = self._registry.find(ObjectRef(EVENTS, namespace, name)) if name else None
        if name is None or found is None:
            return False
        changes = {"count": found["count"] + 1, "lastTimestamp": self._registry.now()}
        self._registry.patch(ObjectRef(EVENTS, namespace, name), changes)
        return True

    def _create(self, resource: ResourceType, metadata: JsonObject, key: tuple[str, ...]) -> str:
        _, kind, reason, message, part = key
        involved = {"kind": resource.kind, "apiVersion": resource.api_version}
        involved |= {name: metadata[name] for name in ("namespace", "name", "uid", "resourceVersion")}
        if part:
            involved["fieldPath"] = part
        now = self._registry.now()
        moment = int(self._registry.clock().timestamp() * 1e9)
        event: JsonObject = {
            # Named as by client-go; the random suffix separates two Events of the same moment.
            "metadata": {"generateName": f"{metadata['name'][:_MAX_NAME_PREFIX]}.{moment:x}"},
            "type": kind,
            "reason": reason,
            "message": message,
            "involvedObject": involved,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": "",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "eventTime": None,
            "count": 1,
        }
        created = self._registry.create(EVENTS, event, namespace=metadata["namespace"]).object
        return str(created["metadata"]["name"])
