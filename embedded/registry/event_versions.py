"""The two APIs of events: stored are those of the core group, and events.k8s.io/v1 names some fields differently.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from typing import Any

from embedded.api.scheme import EVENTS, EVENTS_V1
from embedded.types import JsonObject

_CORE_FIELDS = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedCount": "count",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
}
_V1_FIELDS = {core: field for field, core in _CORE_FIELDS.items()}


def to_core(value: Any) -> Any:
    """An event of events.k8s.io/v1, or a patch of any type for one, in the core group."""
    if isinstance(value, list):
        return [_to_core_operation(operation) for operation in value]
    if not isinstance(value, dict):
        return value
    found = {_CORE_FIELDS.get(name, name): item for name, item in value.items()}
    if found.get("apiVersion") == EVENTS_V1.api_version:
        found["apiVersion"] = EVENTS.api_version
    return found


def _to_core_operation(operation: Any) -> Any:
    """An operation of a JSON patch."""
    if not isinstance(operation, dict):
        return operation
    paths = {name: _to_core_pointer(operation[name]) for name in ("path", "from") if name in operation}
    return {**operation, **paths}


def _to_core_pointer(pointer: Any) -> Any:
    if not isinstance(pointer, str):
        return pointer
    root, *rest = pointer.split("/")
    return "/".join([root, *(_CORE_FIELDS.get(name, name) for name in rest[:1]), *rest[1:]])


def from_core(event: JsonObject) -> JsonObject:
    """A stored event in events.k8s.io/v1."""
    found = {_V1_FIELDS.get(name, name): value for name, value in event.items()}
    return {**found, "apiVersion": EVENTS_V1.api_version}
