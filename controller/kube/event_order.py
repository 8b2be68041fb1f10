"""The times of Events, in either of the two forms that Kubernetes' components write, and the order of Events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_UNKNOWN = datetime.min.replace(tzinfo=UTC)


def event_times(event: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """When it happened first, and last: in whole seconds, or in microseconds from the newer components."""
    first = event.get("firstTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    last = event.get("lastTimestamp") or (event.get("series") or {}).get("lastObservedTime") or first
    return first, last


def event_order(event: Mapping[str, Any]) -> tuple[datetime, datetime, int, str]:
    """What sorts Events as they happened last, oldest first; those of one second as they were written.

    An Event is written each time it happens, so that its resourceVersion is the order of what its times do not tell.
    """
    first, last = event_times(event)
    version = str(event["metadata"].get("resourceVersion") or "")
    return (
        _parse(last),
        _parse(first),
        int(version) if version.isascii() and version.isdigit() and len(version) < 20 else 0,
        str(event["metadata"].get("name") or ""),
    )


def _parse(text: str | None) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return _UNKNOWN
    return found if found.tzinfo is not None else _UNKNOWN
