"""What a deletion does to an object: it goes at once, or is marked and held by finalizers or a grace period. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from embedded.api.scheme import NAMESPACES, PODS, ResourceType
from embedded.api.status_errors import forbidden
from embedded.registry.object_meta import format_time
from embedded.types import JsonObject

_TERMINAL_PHASES = ("Succeeded", "Failed")
_PROTECTED_NAMESPACES = ("default", "kube-system")
_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"
_PROPAGATION_FINALIZERS = {"Foreground": [_FOREGROUND], "Orphan": [_ORPHAN]}


def require_deletable(resource: ResourceType, name: str) -> None:
    """Raises:
    ApiError: 403, the object is part of every cluster.
    """
    if resource is NAMESPACES and name in _PROTECTED_NAMESPACES:
        raise forbidden(resource.plural, name, resource.group, "this namespace may not be deleted")


def mark_for_deletion(
    resource: ResourceType, obj: JsonObject, *, propagation: str | None, grace_period: int | None, now: datetime
) -> bool:
    """Mark an object as being deleted, in place. True when nothing holds it, so that it can go at once.

    Args:
        propagation: Foreground, Background, Orphan, or None for the resource's own way.
        grace_period: seconds for a pod's processes to end; None for what the pod says.
        now: the deletionTimestamp, but for the grace period.
    """
    metadata = obj["metadata"]
    finalizers = [f for f in metadata.get("finalizers") or [] if f not in (_FOREGROUND, _ORPHAN)]
    finalizers += _PROPAGATION_FINALIZERS.get(propagation or "", [])
    grace = 0
    if resource is PODS:
        grace = metadata["deletionGracePeriodSeconds"] = _pod_grace_period(obj, grace_period)
    if not finalizers and grace == 0 and is_removable(resource, obj):
        return True
    if finalizers:
        metadata["finalizers"] = finalizers
    if "deletionTimestamp" not in metadata and metadata.get("generation"):
        # Nothing of its wish is to be followed from now on.
        metadata["generation"] += 1
    if resource is PODS or "deletionTimestamp" not in metadata:
        # The moment by which it is to be gone. A later deletion with less patience brings it forward.
        by = format_time(now + timedelta(seconds=grace))
        metadata["deletionTimestamp"] = min(by, metadata.get("deletionTimestamp", by))
    if resource is NAMESPACES:
        obj.setdefault("status", {})["phase"] = "Terminating"
    else:
        metadata["deletionGracePeriodSeconds"] = grace
    return False


def _pod_grace_period(pod: JsonObject, requested: int | None) -> int:
    """Seconds; none for a pod that never ran or has ended, and never more than an earlier deletion gave."""
    grace: int = pod["spec"].get("terminationGracePeriodSeconds", 30) if requested is None else requested
    if grace < 0:
        grace = 1
    if not pod["spec"].get("nodeName") or pod["status"].get("phase") in _TERMINAL_PHASES:
        grace = 0
    return min(grace, int(pod["metadata"].get("deletionGracePeriodSeconds", grace)))


def is_removable(resource: ResourceType, obj: JsonObject) -> bool:
    """Whether nothing but finalizers in metadata could hold the object."""
    if resource is NAMESPACES:
        return not obj.get("spec", {}).get("finalizers")
    return not (resource is PODS and obj["metadata"].get("deletionGracePeriodSeconds"))
