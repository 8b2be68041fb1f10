"""Reads the status of pods: containers, conditions, disruptions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from controller import labels
from controller.operator import names
from controller.operator.workload import services

Json = dict[str, Any]

# Reasons of a pod that say nothing about the step: what it ran on went away.
_DISRUPTION_REASONS = ("Evicted", "NodeLost", "NodeShutdown", "Preempting", "Terminated", "UnexpectedAdmissionError")


# As JSON lists, in the environment of the agent.
_ARTIFACT_VARIABLES = ("C8S_ARTIFACTS", "C8S_OPTIONAL_ARTIFACTS")


def container_status(pod: Json, container: str) -> Json | None:
    """The status of a container or an init container, by name."""
    status = pod.get("status") or {}
    for listed in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(listed) or []:
            if entry["name"] == container:
                found: Json = entry
                return found
    return None


def agent_container(pod: Json) -> Json | None:
    """The container of the agent beside the step; None for a pod without one."""
    for container in pod["spec"].get("initContainers") or []:
        if container["name"] in (names.AGENT_CONTAINER, names.EARLIER_AGENT):
            found: Json = container
            return found
    return None


def agent_status(pod: Json) -> Json:
    """The status of the agent's container; empty before there is one."""
    return container_status(pod, names.AGENT_CONTAINER) or container_status(pod, names.EARLIER_AGENT) or {}


def started_containers(pod: Json) -> list[str]:
    """The containers that have or had a process, and so a log."""
    status = pod.get("status") or {}
    entries = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return [e["name"] for e in entries if "running" in (e.get("state") or {}) or "terminated" in (e.get("state") or {})]


def is_upload_finished(pod: Json) -> bool:
    """Whether the agent, which uploads artifacts and workspace, has ended."""
    return is_pod_finished(pod) or "terminated" in (agent_status(pod).get("state") or {})


def uploads_artifacts(pod: Json) -> bool:
    """Whether the pod has an agent that uploads artifacts, not only caches or the workspace."""
    variables = (agent_container(pod) or {}).get("env") or []
    environment = {each["name"]: each.get("value") for each in variables}
    return any(environment.get(name) not in (None, "[]") for name in _ARTIFACT_VARIABLES)


def is_pod_finished(pod: Json) -> bool:
    """Whether all containers of a pod have ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def conditions(obj: Json | None) -> list[Json]:
    """The conditions of a Job or a pod; none for None."""
    return ((obj or {}).get("status") or {}).get("conditions") or []


def disruption_message(pod: Json, ended_at: str | None = None) -> str | None:
    """Why the pod was disrupted from outside; None if it was not.

    Args:
        ended_at: only what began in that second or later counts; None for everything.
    """
    status = pod.get("status") or {}
    if status.get("reason") in _DISRUPTION_REASONS:
        return str(status.get("message") or status["reason"])
    for condition in conditions(pod):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            if _is_before(ended_at, condition.get("lastTransitionTime")):
                continue
            return str(condition.get("message") or condition.get("reason") or "its node was needed otherwise")
    if "deletionTimestamp" not in pod["metadata"] or _is_before(ended_at, _deletion_request(pod["metadata"])):
        return None
    return "its pod was deleted"


def _deletion_request(metadata: Json) -> str:
    """When the deletion of a pod was requested: its deletionTimestamp is later by the grace period."""
    grace = timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)
    return (datetime.fromisoformat(metadata["deletionTimestamp"]) - grace).isoformat()


def _is_before(ended_at: str | None, moment: str | None) -> bool:
    """Whether both are known and the end came first, in whole seconds."""
    return bool(ended_at and moment) and datetime.fromisoformat(str(ended_at)) < datetime.fromisoformat(str(moment))


def is_suspended(job: Json | None) -> bool:
    """Whether a Job makes no pod, because a queue has not admitted it."""
    return bool(((job or {}).get("spec") or {}).get("suspend"))


def queue_of(job: Json) -> str:
    """The LocalQueue that a Job waits in; empty if it does not say."""
    return str((job["metadata"].get("labels") or {}).get(labels.QUEUE, ""))


def resumed_at(job: Json | None, now: datetime) -> datetime:
    """When a Job that was suspended was admitted, by its condition."""
    for condition in conditions(job):
        if condition["type"] == "Suspended" and condition["status"] == "False" and condition.get("lastTransitionTime"):
            return min(now, datetime.fromisoformat(condition["lastTransitionTime"]))
    return now


def is_step_image_pull(event: Json) -> bool:
    """Whether an Event is about the pull of an image that the pipeline names: of the step or a service."""
    container = str((event.get("involvedObject") or {}).get("fieldPath") or "").partition("{")[2].rstrip("}")
    return container == names.STEP_CONTAINER or container.startswith(services.CONTAINER_PREFIX)
