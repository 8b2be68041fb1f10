"""Validation of Events by `pkg/apis/core/validation/events.go`: events.k8s.io/v1 is stricter than the core group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from embedded.api.field_errors import invalid, required
from embedded.api.names import validate_qualified_name
from embedded.api.status_errors import FieldError
from embedded.types import JsonObject

_MAX_NOTE = 1024
_MAX_SHORT = 128
_CLUSTER_SCOPED_NAMESPACES = ("default", "kube-system")
_DEPRECATED = {"firstTimestamp": None, "lastTimestamp": None, "count": 0}
_IMMUTABLE: Mapping[str, Any] = {
    "involvedObject": {},
    "reason": "",
    "message": "",
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "count": 0,
    "type": "",
    "eventTime": None,
    "action": "",
    "related": None,
    "reportingComponent": "",
    "reportingInstance": "",
}
"""The fields that events.k8s.io/v1 never changes, in the order of its checks, with their empty values."""
_V1_NAMES = {"reportingComponent": "reportingController"}


def validate_event(event: JsonObject) -> list[FieldError]:
    """What both groups require of an Event, in the form of the core group."""
    namespace = event["metadata"].get("namespace") or ""
    about = (event.get("involvedObject") or {}).get("namespace") or ""
    mismatch = invalid("involvedObject.namespace", about, "does not match event.namespace")
    if not event.get("eventTime"):
        # An Event about an object without a namespace is in the namespace `default`.
        return [] if namespace == (about or "default") else [mismatch]
    errors = [mismatch] if not about and namespace not in _CLUSTER_SCOPED_NAMESPACES else []
    field = "reportingComponent"
    controller = event.get("reportingComponent") or ""
    errors += [] if controller else [required(field)]
    if detail := validate_qualified_name(controller):
        errors.append(invalid(field, controller, detail))
    for name in ("reportingInstance", "action", "reason"):
        value = event.get(name) or ""
        errors += [] if value else [required(name)]
        if len(value) > _MAX_SHORT:
            errors.append(invalid(name, "", f"can have at most {_MAX_SHORT} characters"))
    if len(event.get("message") or "") > _MAX_NOTE:
        errors.append(invalid("message", "", f"can have at most {_MAX_NOTE} characters"))
    return errors


def complete_v1_errors(
    errors: Sequence[FieldError], event: JsonObject, old: JsonObject | None = None
) -> list[FieldError]:
    """The errors of a request of events.k8s.io/v1: those of both groups by its names of fields, and its own."""
    renamed = [FieldError(error.reason, _V1_NAMES.get(error.field, error.field), error.message) for error in errors]
    return renamed + _validate_v1_event(event, old)


def _validate_v1_event(event: JsonObject, old: JsonObject | None) -> list[FieldError]:
    if old is not None:
        errors = _validate_series(event) if event.get("series") != old.get("series") else []
        return errors + [
            invalid(_V1_NAMES.get(name, name), event.get(name), "field is immutable")
            for name, empty in _IMMUTABLE.items()
            if (event.get(name) or empty) != (old.get(name) or empty)
        ]
    errors = _validate_series(event)
    errors += [] if event.get("eventTime") else [required("eventTime")]
    if event.get("type") not in ("Normal", "Warning"):
        errors.append(invalid("type", "", f"has invalid value: {event.get('type') or ''}"))
    for name, empty in _DEPRECATED.items():
        if (event.get(name) or empty) != empty:
            errors.append(invalid(name, "", "needs to be unset"))
    if any((event.get("source") or {}).values()):
        errors.append(invalid("source", "", "needs to be unset"))
    return errors


def _validate_series(event: JsonObject) -> list[FieldError]:
    series = event.get("series")
    if series is None:
        return []
    errors = [invalid("series.count", "", "should be at least 2")] if (series.get("count") or 0) < 2 else []
    return errors if series.get("lastObservedTime") else [*errors, required("series.lastObservedTime")]
