"""What can be seen of an attempt: from its pod's status to a phase, a reason and a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controller.operator import names

Json = dict[str, Any]

# Reasons of a pod that say nothing about the step: what it ran on went away.
_DISRUPTIONS = ("Evicted", "NodeLost", "NodeShutdown", "Preempting", "Terminated", "UnexpectedAdmissionError")
_IMAGE_TROUBLE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


@dataclass(frozen=True)
class Milestones:
    """When each was first seen (our clock): pods tell whole seconds only."""

    scheduled: datetime | None = None
    fetching: datetime | None = None
    running: datetime | None = None
    finished: datetime | None = None


@dataclass(frozen=True)
class AttemptView:
    """What is known of one attempt besides its status: all None when nothing was seen yet."""

    job: Json | None = None
    pod: Json | None = None
    milestones: Milestones = Milestones()
    manifest: Json | None = None
    """What the agent has committed."""
    manifest_read: bool = False
    """Whether the store was asked after the upload ended."""
    log: Json | None = None
    """The log object, once the step's log is archived."""
    open_logs: tuple[str, ...] = ()
    """Containers whose logs are not at their end yet."""


@dataclass(frozen=True)
class Observed:
    """Everything `decide` looks at besides the run itself."""

    attempts: Mapping[tuple[str, int], AttemptView]
    """By slug and number."""
    missing_secrets: Mapping[str, str] = field(default_factory=dict)
    """Step name -> what it lacks."""
    secrets_ready: bool = False
    """The run's own Secrets are there."""
    runtime: Json | None = None


@dataclass(frozen=True)
class Sight:
    """What a pod shows: `phase` is None while nothing final can be said; then `reason` and `message` tell why it waits."""

    phase: str | None
    reason: str
    message: str
    exit_code: int | None = None
    ended: bool = False
    """The step's own container has ended (artifacts may still be on their way)."""
    running: bool = False
    disrupted: bool = False


def container_status(pod: Json, container: str) -> Json | None:
    status = pod.get("status") or {}
    for listed in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(listed) or []:
            if entry["name"] == container:
                found: Json = entry
                return found
    return None


def started_containers(pod: Json) -> list[str]:
    """The containers that have or had a process, and so a log."""
    status = pod.get("status") or {}
    entries = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return [e["name"] for e in entries if "running" in (e.get("state") or {}) or "terminated" in (e.get("state") or {})]


def is_over(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def milestones(pod: Json, before: Milestones, now: datetime) -> Milestones:
    """The milestones after one more look at a pod."""
    own, fetch = container_status(pod, names.STEP_CONTAINER), container_status(pod, names.FETCH)
    state = (own or {}).get("state") or {}
    fetch_state = (fetch or {}).get("state") or {}
    begun = "running" in state or "terminated" in state
    return Milestones(
        scheduled=before.scheduled or (now if (pod.get("spec") or {}).get("nodeName") else None),
        fetching=before.fetching or (now if "running" in fetch_state or "terminated" in fetch_state else None),
        running=before.running or (now if begun else None),
        finished=before.finished or (now if "terminated" in state or is_over(pod) else None),
    )


def sight(view: AttemptView, *, artifacts: bool, memory_limit: str | None) -> Sight:
    """What an attempt's pod shows. `artifacts`: the step hands files on and is over only when they are stored."""
    if view.pod is None:
        return _without_pod(view)
    pod = view.pod
    own = container_status(pod, names.STEP_CONTAINER)
    state = (own or {}).get("state") or {}
    if "terminated" in state and (state["terminated"].get("reason") != "ContainerStatusUnknown"):
        return _ended(view, state["terminated"], artifacts=artifacts, memory_limit=memory_limit)
    if is_over(pod):
        return _pod_over(pod)
    if "running" in state:
        return Sight(None, "Running", "", running=True)
    return _waiting(pod, state.get("waiting") or {})


def _without_pod(view: AttemptView) -> Sight:
    for condition in ((view.job or {}).get("status") or {}).get("conditions") or []:
        if condition["type"] == "Failed" and condition["status"] == "True":
            words = condition.get("message") or condition.get("reason", "")
            return Sight("Failed", "Disrupted", f"the Job failed without a pod: {words}", ended=True, disrupted=True)
    return Sight(None, "Created", "the Job is created; its pod is not there yet")


def _ended(view: AttemptView, ended: Json, *, artifacts: bool, memory_limit: str | None) -> Sight:
    code, reason = int(ended.get("exitCode", 0)), ended.get("reason", "")
    if code == 0:
        return _uploaded(view) if artifacts else Sight("Succeeded", "Succeeded", "", 0, ended=True)
    if reason == "OOMKilled":
        limit = f" of {memory_limit}" if memory_limit else ""
        return Sight("Failed", "OOMKilled", f"killed: it used more memory than its limit{limit}", code, ended=True)
    pod_reason = ((view.pod or {}).get("status") or {}).get("reason", "")
    if pod_reason in _DISRUPTIONS:
        message = f"interrupted: {((view.pod or {}).get('status') or {}).get('message') or pod_reason}"
        return Sight("Failed", "Disrupted", message, code, ended=True, disrupted=True)
    if reason == "StartError":
        return Sight("Failed", "StartError", str(ended.get("message") or "it could not be started"), code, ended=True)
    killed = f" (killed by signal {code - 128})" if code > 128 else ""
    return Sight("Failed", "ExitCode", f"exit code {code}{killed}", code, ended=True)


def _uploaded(view: AttemptView) -> Sight:
    if view.manifest is not None:
        return Sight("Succeeded", "Succeeded", "", 0, ended=True)
    upload = container_status(view.pod or {}, names.UPLOAD)
    ended = ((upload or {}).get("state") or {}).get("terminated")
    if ended is None and not is_over(view.pod or {}):
        return Sight(None, "Uploading", "its commands succeeded; the artifacts are being stored", 0, ended=True)
    if not view.manifest_read:
        return Sight(None, "Uploading", "the artifacts are being checked", 0, ended=True)
    code = (ended or {}).get("exitCode")
    why = f"the upload ended with exit code {code}" if code else "the upload did not finish"
    message = f"the artifacts could not be stored: {why}; its log says more"
    return Sight("Failed", "ArtifactUploadFailed", message, 0, ended=True)


def _pod_over(pod: Json) -> Sight:
    """The pod has ended and its step container never did so itself."""
    status = pod["status"]
    reason, message = status.get("reason", ""), status.get("message", "")
    fetch = ((container_status(pod, names.FETCH) or {}).get("state") or {}).get("terminated")
    if fetch and fetch.get("exitCode"):
        words = f"the source or the artifacts could not be fetched: exit code {fetch['exitCode']}; the log of fetch says more"
        return Sight("Failed", "FetchFailed", words, ended=True)
    if reason in _DISRUPTIONS:
        return Sight("Failed", "Disrupted", f"interrupted: {message or reason}", ended=True, disrupted=True)
    return Sight("Failed", reason or "PodFailed", message or "the pod failed before the step began", ended=True)


def _waiting(pod: Json, waiting: Json) -> Sight:
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Sight(None, "Unschedulable", condition.get("message") or "no node takes it")
    if reason in _IMAGE_TROUBLE:
        image = next((c["image"] for c in pod["spec"]["containers"] if c["name"] == names.STEP_CONTAINER), "")
        return Sight(None, "ImagePull", f"the image {image} can't be pulled: {message or reason}")
    if reason == "CreateContainerConfigError":
        return Sight(None, "SecretMissing", message)
    fetch = (container_status(pod, names.FETCH) or {}).get("state") or {}
    if "running" in fetch:
        return Sight(None, "Fetching", "source and artifacts are being fetched")
    return Sight(None, "Starting", message or "the pod is starting")
