"""What the operator keeps of Jobs, pods and Events: the fields that it reads.

It holds those of all active runs. Without scripts, volumes and probes they take a fifth of the memory, and the garbage
collector, which stops the event loop while it looks at every container object, a fifth of the time.
"""

from __future__ import annotations

from typing import Any

from controller import labels
from controller.operator import names

Json = dict[str, Any]

_METADATA = (
    *("name", "namespace", "uid", "resourceVersion", "labels", "ownerReferences", "creationTimestamp"),
    *("deletionTimestamp", "deletionGracePeriodSeconds"),
)
_POD_STATUS = ("phase", "reason", "message", "conditions")
_CONTAINER_STATUS = ("name", "state", "lastState", "started", "restartCount")


def trim_job(job: Json) -> Json:
    """The identity of a Job, what the agent reported, if its gate is open, it expires and is suspended, its conditions,
    and the names of its volumes, which tell whether it has agents.
    """
    volumes = [_pick(each, ("name",)) for each in job["spec"]["template"]["spec"].get("volumes") or []]
    spec = {**_pick(job["spec"], ("ttlSecondsAfterFinished", "suspend")), "template": {"spec": {"volumes": volumes}}}
    annotations = _pick(job["metadata"].get("annotations") or {}, (labels.AGENT_REPORT, labels.OPENED))
    return {
        "metadata": {**_pick(job["metadata"], _METADATA), "annotations": annotations},
        "spec": spec,
        "status": _pick(job.get("status") or {}, ("conditions",)),
    }


def trim_pod(pod: Json) -> Json:
    """The identity of a pod, where it runs and until when, the names of its containers, and its status."""
    spec, status = pod["spec"], pod.get("status") or {}
    trimmed = _pick(spec, ("nodeName", "activeDeadlineSeconds"))
    trimmed["containers"] = [_pick(each, ("name", "image")) for each in spec["containers"]]
    if spec.get("initContainers"):
        trimmed["initContainers"] = [_trim_init_container(each) for each in spec["initContainers"]]
    kept = _pick(status, _POD_STATUS)
    for listed in ("containerStatuses", "initContainerStatuses"):
        if status.get(listed):
            kept[listed] = [_pick(each, _CONTAINER_STATUS) for each in status[listed]]
    return {"metadata": _pick(pod["metadata"], _METADATA), "spec": trimmed, "status": kept}


def trim_event(event: Json) -> Json:
    """What an Event is about, and its message."""
    kept = _pick(event, ("involvedObject", "reason", "message"))
    return {"metadata": _pick(event["metadata"], ("name", "namespace", "uid", "resourceVersion")), **kept}


def _trim_init_container(container: Json) -> Json:
    """The name, and of the agent also its environment, which tells what it uploads."""
    is_agent = container["name"] in (names.AGENT_CONTAINER, names.EARLIER_AGENT)
    fields = ("name", "env") if is_agent else ("name",)
    return _pick(container, fields)


def _pick(obj: Json, fields: tuple[str, ...]) -> Json:
    return {field: obj[field] for field in fields if field in obj}
