"""Deletion rules: an object is removed at once, or marked and held by finalizers or a grace period."""

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
    """Refuse the deletion of a namespace that every cluster has.

    Raises:
        ApiError: 403.
    """
    if resource is NAMESPACES and name in _PROTECTED_NAMESPACES:
        raise forbidden(resource.plural, name, resource.group, "this namespace may not be deleted")


def mark_for_deletion(
    resource: ResourceType, obj: JsonObject, *, propagation: str | None, grace_period: int | None, now: datetime
) -> bool:
    """Mark an object as being deleted, in place. Returns whether it can be removed at once.

    Args:
        propagation: Foreground, Background, Orphan, or None for the default of the resource.
        grace_period: seconds until a pod's processes are killed; None for the value of its spec.
        now: the current time.
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
        # Controllers must notice that the desired state no longer applies.
        metadata["generation"] += 1
    if resource is PODS or "deletionTimestamp" not in metadata:
        # The time by which the object is to be gone. A later deletion with a shorter grace period moves it forward.
        by = format_time(now + timedelta(seconds=grace))
        metadata["deletionTimestamp"] = min(by, metadata.get("deletionTimestamp", by))
    if resource is NAMESPACES:
        obj.setdefault("status", {})["phase"] = "Terminating"
    else:
        metadata["deletionGracePeriodSeconds"] = grace
    return False


def _pod_grace_period(pod: JsonObject, requested: int | None) -> int:
    """Seconds: 0 for a pod that never ran or has finished, and at most those of an earlier deletion."""
    grace: int = pod["spec"].get("terminationGracePeriodSeconds", 30) if requested is None else requested
    if grace < 0:
        grace = 1
    if not pod["spec"].get("nodeName") or pod["status"].get("phase") in _TERMINAL_PHASES:
        grace = 0
    return min(grace, int(pod["metadata"].get("deletionGracePeriodSeconds", grace)))


def is_removable(resource: ResourceType, obj: JsonObject) -> bool:
    """Whether only finalizers in its metadata could keep the object."""
    if resource is NAMESPACES:
        return not obj.get("spec", {}).get("finalizers")
    return not (resource is PODS and obj["metadata"].get("deletionGracePeriodSeconds"))
