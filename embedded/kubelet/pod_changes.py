"""Decides which changes of pods concern the kubelet. Pure."""

from __future__ import annotations

from typing import Any

from embedded.kubelet.node import NODE_NAME
from embedded.kubelet.pod_status import TERMINAL_PHASES
from embedded.storage.sqlite import StoreEvent

Json = dict[str, Any]


def may_run_here(pod: Json) -> bool:
    """Whether a pod has not ended and is not bound to another node."""
    assigned = pod["spec"].get("nodeName") or NODE_NAME
    return pod["status"].get("phase") not in TERMINAL_PHASES and assigned == NODE_NAME


def is_reverted(previous: Json, pod: Json) -> bool:
    """Whether a client has overwritten the final status of a pod that ran here."""
    ended = previous["status"].get("phase") in TERMINAL_PHASES and previous["spec"].get("nodeName") == NODE_NAME
    return ended and pod["status"].get("phase") not in TERMINAL_PHASES


def concerns_worker(event: StoreEvent) -> bool:
    """Whether a change requires action of the pod's worker; its own status writes do not."""
    if event.previous is None:
        return True

    def requested(pod: Json) -> tuple[Any, ...]:
        metadata = pod["metadata"]
        deletion = (metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds"))
        return (*deletion, pod["spec"].get("activeDeadlineSeconds"))

    return requested(event.previous) != requested(event.object)
