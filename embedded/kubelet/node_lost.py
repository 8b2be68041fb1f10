"""What is written about pods that a killed cluster was running. Pure."""

from __future__ import annotations

import copy
from typing import Any

Json = dict[str, Any]

_MESSAGE = (
    "the sandbox was stopped while this pod ran: its processes were ended, and how it would have gone on is unknown"
)


def node_lost_status(status: Json, now: str) -> Json:
    """The last status of a pod whose processes are gone: Failed, for a reason that a Job controller counts."""
    new = copy.deepcopy(status) | {"phase": "Failed", "reason": "NodeLost", "message": _MESSAGE}
    for container in [*(new.get("containerStatuses") or []), *(new.get("initContainerStatuses") or [])]:
        running = container["state"].get("running")
        if running is not None:
            ended = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": _MESSAGE}
            times = {"startedAt": running["startedAt"], "finishedAt": now}
            container |= {"state": {"terminated": ended | times}, "ready": False, "started": False}
    for condition in new.get("conditions") or []:
        if condition["type"] in ("Ready", "ContainersReady") and condition["status"] == "True":
            condition |= {"status": "False", "reason": "PodFailed", "lastTransitionTime": now}
    new["conditions"] = [*(new.get("conditions") or []), disruption_condition("DeletionByPodGC", _MESSAGE, now)]
    return new


def disruption_condition(reason: str, message: str, now: str) -> Json:
    """The condition by which a Job's failure policy knows that a pod is not itself to blame."""
    condition: Json = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    return condition | {"lastProbeTime": None, "lastTransitionTime": now}
