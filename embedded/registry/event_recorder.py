"""Events: what controllers and the runner tell people about an object, as `kubectl describe` shows it.

An Event that says again what was said before is the same one, counted up.
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
    """Writes Events for one component. What can't be written is dropped: an Event is a courtesy."""

    def __init__(self, registry: Registry, component: str) -> None:
        self._registry = registry
        self._component = component
        self._recorded: dict[tuple[str, ...], str] = {}
        """Names of Events by what they say, the oldest first."""

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
        """Say something about an object; `part` is the field of it that is meant, such as a container's."""
        metadata = obj["metadata"]
        about = (str(metadata["uid"]), event_type, reason, message, field_path)
        try:
            if not self._increment(metadata["namespace"], about):
                self._recorded[about] = self._create(resource, metadata, about)
        except ApiError:
            # Its namespace goes, or the quota of Events is used up.
            return
        while len(self._recorded) > _MAX_RECORDED_EVENTS:
            del self._recorded[next(iter(self._recorded))]

    def _increment(self, namespace: str, about: tuple[str, ...]) -> bool:
        name = self._recorded.get(about)
        found = self._registry.find(ObjectRef(EVENTS, namespace, name)) if name else None
        if name is None or found is None:
            return False
        news = {"count": found["count"] + 1, "lastTimestamp": self._registry.now()}
        self._registry.patch(ObjectRef(EVENTS, namespace, name), news)
        return True

    def _create(self, resource: ResourceType, metadata: JsonObject, about: tuple[str, ...]) -> str:
        _, kind, reason, message, part = about
        involved = {"kind": resource.kind, "apiVersion": resource.api_version}
        involved |= {name: metadata[name] for name in ("namespace", "name", "uid", "resourceVersion")}
        if part:
            involved["fieldPath"] = part
        now = self._registry.now()
        moment = int(self._registry.clock().timestamp() * 1e9)
        event: JsonObject = {
            # As client-go names them; the random end is for two at one moment.
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
