"""What is observed of a run, and the verdict about an attempt derived from its pod."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from controller.operator import names
from controller.operator.decision.capacity import parse_quota_error
from controller.operator.decision.reuse import ReusableStep
from controller.operator.workload import services
from controller.run_types.keys import AttemptKey
from controller.run_types.phases import StepPhase
from controller.run_types.reasons import StepReason

Json = dict[str, Any]

# Reasons of a pod that say nothing about the step: what it ran on went away.
_DISRUPTION_REASONS = ("Evicted", "NodeLost", "NodeShutdown", "Preempting", "Terminated", "UnexpectedAdmissionError")
# Times in a pod are whole seconds; what is older than this was not seen happening.
_MAX_OBSERVATION_DELAY = timedelta(seconds=2)
_IMAGE_PULL_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


@dataclass(frozen=True)
class Milestones:
    """When each was first observed, or, if that was late, the time in the pod, which has whole seconds."""

    scheduled: datetime | None = None
    fetching: datetime | None = None
    pulling: datetime | None = None
    """The first pull of an image of its own: of the step or of a service."""
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
    """Whether the manifest was read after the upload ended."""
    workspace: Json | None = None
    """The manifest of the saved workspace of a failed attempt."""
    workspace_read: bool = False
    """Whether that manifest was read after the upload ended."""
    log: Json | None = None
    """The log object, once the step's log is archived."""
    open_logs: tuple[str, ...] = ()
    """Containers whose logs are not archived yet."""
    job_missing: bool = False
    """Whether the API server confirmed that the attempt's Job does not exist."""
    pod_create_error: str = ""
    """Why the cluster did not create the Job's pod, as it reported last."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing new can be observed: the pod has ended, and all its logs are archived."""
        return self.pod is not None and is_pod_finished(self.pod) and self.log is not None and not self.open_logs


_EMPTY_VIEW = AttemptView()


@dataclass(frozen=True)
class CreateFailure:
    """The API server did not take the Job of an attempt. A `final` one won't be tried again, others at `until`."""

    reason: str
    message: str
    final: bool
    retry_at: datetime


@dataclass(frozen=True)
class BlockingRun:
    """A run that has to end before another one of its concurrency group starts."""

    name: str
    created_before: bool
    """Whether it is older. The policy `cancel-running` cancels only older runs."""
    cancel_requested: bool
    """Whether it is being cancelled already."""


@dataclass(frozen=True)
class Observation:
    """Everything that a decision is based on besides the run itself."""

    attempts: Mapping[AttemptKey, AttemptView]
    """By slug and number; also those that the status does not know yet, without those of `settled` steps."""
    create_failures: Mapping[AttemptKey, CreateFailure] = field(default_factory=dict)
    """By slug and number."""
    missing_secrets: Mapping[str, str] = field(default_factory=dict)
    """Step name -> what it lacks."""
    secrets_ready: bool = False
    """Whether the run's own Secrets exist."""
    prepare_error: str = ""
    """Why they could not be created so far."""
    unschedulable: Mapping[str, str] = field(default_factory=dict)
    """Step name -> why no node can ever take it."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Step name -> digest of what it is made from, as far as that is known."""
    reusable: Mapping[str, ReusableStep] = field(default_factory=dict)
    """Step name -> what an earlier run has of it."""
    recorded_reuse: frozenset[str] = frozenset()
    """Names of the reused steps that are in the written status, so that agents can fetch their artifacts."""
    source_step: str | None = None
    """The name of the step that clones, in a run on a repository."""
    source_recorded: bool = True
    """Whether the written status has the source, so that agents can fetch it."""
    group: str | None = None
    """Its concurrency group, filled in."""
    blocking_runs: tuple[BlockingRun, ...] = ()
    """The runs of its concurrency group that have to end before it starts."""
    first_seen: datetime | None = None
    """When this process first reconciled the run."""
    runtime: Json | None = None
    settled_steps: frozenset[str] = frozenset()
    """Slugs of steps that have ended and need no further observation: their status stays as it is."""

    def view(self, slug: str, number: int) -> AttemptView:
        """What is known of an attempt; an empty view for one that was not observed."""
        return self.attempts.get(AttemptKey(slug, number), _EMPTY_VIEW)

    def create_failure(self, slug: str, number: int) -> CreateFailure | None:
        """Why the Job of an attempt was not created, if the API server refused it."""
        return self.create_failures.get(AttemptKey(slug, number))


@dataclass(frozen=True)
class PodVerdict:
    """The state of an attempt, derived from its pod. `phase` is None until it has ended."""

    phase: StepPhase | None
    reason: str
    message: str
    exit_code: int | None = None
    check_manifest: bool = False
    """Whether the upload has ended and its manifest must be read."""


_SUCCEEDED = PodVerdict(StepPhase.SUCCEEDED, StepReason.SUCCEEDED, "", 0)


def _failed(reason: str, message: str, exit_code: int | None = None) -> PodVerdict:
    return PodVerdict(StepPhase.FAILED, reason, message, exit_code)


def _unfinished(reason: StepReason, message: str, exit_code: int | None = None) -> PodVerdict:
    return PodVerdict(None, reason, message, exit_code)


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


def is_upload_finished(pod: Json) -> bool:
    """Whether the agent that uploads artifacts and workspace has ended."""
    return is_pod_finished(pod) or "terminated" in (
        (container_status(pod, names.UPLOAD_CONTAINER) or {}).get("state") or {}
    )


def is_pod_finished(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def update_milestones(pod: Json, before: Milestones, now: datetime) -> Milestones:
    """The milestones, updated from a pod."""
    own, fetch = container_status(pod, names.STEP_CONTAINER), container_status(pod, names.FETCH_CONTAINER)
    state, fetch_state = (own or {}).get("state") or {}, (fetch or {}).get("state") or {}
    ended = state.get("terminated")
    begun, fetched = ended or state.get("running"), fetch_state.get("terminated") or fetch_state.get("running")
    over = ended is not None or is_pod_finished(pod)
    bound = next((c for c in _conditions(pod) if c["type"] == "PodScheduled" and c["status"] == "True"), {})
    scheduled = (
        _observed_time(bound.get("lastTransitionTime"), now) if (pod.get("spec") or {}).get("nodeName") else None
    )
    return Milestones(
        scheduled=before.scheduled or scheduled,
        fetching=before.fetching or (_observed_time(fetched.get("startedAt"), now) if fetched is not None else None),
        pulling=before.pulling,
        running=before.running or (_observed_time(begun.get("startedAt"), now) if begun is not None else None),
        finished=before.finished or (_observed_time((ended or {}).get("finishedAt"), now) if over else None),
    )


def is_step_image_pull(event: Json) -> bool:
    """Whether an Event is about the pull of an image that the pipeline names: of the step or a service."""
    container = str((event.get("involvedObject") or {}).get("fieldPath") or "").partition("{")[2].rstrip("}")
    return container == names.STEP_CONTAINER or container.startswith(services.CONTAINER_PREFIX)


def _observed_time(told: str | None, now: datetime) -> datetime:
    """The time of the observation, or the reported one if that is too long ago."""
    if not told:
        return now
    moment = datetime.fromisoformat(told)
    return moment if now - moment > _MAX_OBSERVATION_DELAY else now


def _conditions(obj: Json | None) -> list[Json]:
    return ((obj or {}).get("status") or {}).get("conditions") or []


def disruption_message(pod: Json) -> str | None:
    """Why the pod was disrupted from outside; None if it was not."""
    status = pod.get("status") or {}
    if status.get("reason") in _DISRUPTION_REASONS:
        return str(status.get("message") or status["reason"])
    for condition in _conditions(pod):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return str(condition.get("message") or condition.get("reason") or "its node was needed otherwise")
    return "its pod was deleted" if "deletionTimestamp" in pod["metadata"] else None


def evaluate_pod(view: AttemptView, *, artifacts: bool, memory_limit: str | None) -> PodVerdict:
    """The state of an attempt, derived from its pod.

    Args:
        artifacts: whether the step has artifacts, and so has succeeded only once they are stored.
        memory_limit: of the step, for the message about exceeding it.
    """
    if view.pod is None:
        return _verdict_without_pod(view, artifacts=artifacts)
    pod = view.pod
    own = container_status(pod, names.STEP_CONTAINER)
    state = (own or {}).get("state") or {}
    if "terminated" in state and (state["terminated"].get("reason") != "ContainerStatusUnknown"):
        return _verdict_of_terminated(view, pod, state["terminated"], artifacts=artifacts, memory_limit=memory_limit)
    if is_pod_finished(pod):
        return _verdict_of_finished_pod(pod)
    if "running" in state:
        return _unfinished(StepReason.RUNNING, "")
    return _verdict_of_waiting(pod, state.get("waiting") or {})


def _verdict_without_pod(view: AttemptView, *, artifacts: bool) -> PodVerdict:
    """The verdict from the Job: the pod does not exist yet, or was deleted unobserved."""
    for condition in _conditions(view.job):
        if condition["type"] == "Complete" and condition["status"] == "True":
            return _verdict_of_upload(view, None) if artifacts else _SUCCEEDED
        if condition["type"] == "Failed" and condition["status"] == "True":
            words = condition.get("message") or condition.get("reason", "")
            return _failed(StepReason.DISRUPTED, f"the Job failed without a pod: {words}")
    if view.pod_create_error:
        short = parse_quota_error(view.pod_create_error)
        if short is None:
            return _unfinished(StepReason.NOT_CREATED, f"its pod can't be made: {view.pod_create_error}")
        return PodVerdict(StepPhase.FAILED if short.permanent else None, short.reason, short.message)
    return _unfinished(StepReason.CREATED, "the Job is created; its pod is not there yet")


def _verdict_of_terminated(
    view: AttemptView, pod: Json, ended: Json, *, artifacts: bool, memory_limit: str | None
) -> PodVerdict:
    code, reason = int(ended.get("exitCode", 0)), ended.get("reason", "")
    if code == 0:
        return _verdict_of_upload(view, pod) if artifacts else _SUCCEEDED
    if reason == "OOMKilled":
        limit = f" of {memory_limit}" if memory_limit else ""
        return PodVerdict(
            StepPhase.FAILED, StepReason.OOM_KILLED, f"killed: it used more memory than its limit{limit}", code
        )
    if (interrupted := disruption_message(pod)) is not None:
        return _failed(StepReason.DISRUPTED, f"interrupted: {interrupted}", code)
    if reason == "StartError":
        return PodVerdict(
            StepPhase.FAILED, StepReason.START_ERROR, str(ended.get("message") or "it could not be started"), code
        )
    killed = f" (killed by {name})" if (name := _signal_name(code)) else ""
    return _failed(StepReason.EXIT_CODE, f"exit code {code}{killed}", code)


def _verdict_of_upload(view: AttemptView, pod: Json | None) -> PodVerdict:
    """The verdict once the commands have succeeded: whether the artifacts are stored."""
    if view.manifest is not None:
        return _SUCCEEDED
    upload = container_status(pod or {}, names.UPLOAD_CONTAINER)
    ended = ((upload or {}).get("state") or {}).get("terminated")
    if ended is None and pod is not None and not is_pod_finished(pod) and _has_upload_sidecar(pod):
        return _unfinished(StepReason.UPLOADING, "its commands succeeded; the artifacts are being stored", 0)
    if not view.manifest_read:
        return PodVerdict(None, StepReason.UPLOADING, "the artifacts are being checked", 0, check_manifest=True)
    if pod is not None and (interrupted := disruption_message(pod)) is not None:
        return PodVerdict(
            StepPhase.FAILED,
            StepReason.DISRUPTED,
            f"interrupted while its artifacts were being stored: {interrupted}",
            0,
        )
    code = (ended or {}).get("exitCode")
    why = f"the upload ended with exit code {code}" if code else "the upload did not finish"
    return _failed(StepReason.ARTIFACT_UPLOAD_FAILED, f"the artifacts could not be stored: {why}; its log says more", 0)


def _has_upload_sidecar(pod: Json) -> bool:
    """Whether a sidecar does it; the step that clones does it itself."""
    return any(each["name"] == names.UPLOAD_CONTAINER for each in pod["spec"].get("initContainers") or [])


def _verdict_of_finished_pod(pod: Json) -> PodVerdict:
    """The verdict of a pod that has ended although its step container did not."""
    status = pod["status"]
    reason, message = status.get("reason", ""), status.get("message", "")
    if (interrupted := disruption_message(pod)) is not None:
        return _failed(StepReason.DISRUPTED, f"interrupted: {interrupted}")
    fetch = ((container_status(pod, names.FETCH_CONTAINER) or {}).get("state") or {}).get("terminated")
    if fetch and fetch.get("exitCode"):
        code = fetch["exitCode"]
        words = f"the source or the artifacts could not be fetched: exit code {code}; the log of fetch says more"
        return _failed(StepReason.FETCH_FAILED, words)
    return PodVerdict(
        StepPhase.FAILED, reason or StepReason.POD_FAILED, message or "the pod failed before the step began"
    )


def _verdict_of_waiting(pod: Json, waiting: Json) -> PodVerdict:
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    for condition in _conditions(pod):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _unfinished(StepReason.UNSCHEDULABLE, condition.get("message") or "no node takes it")
    if reason in _IMAGE_PULL_REASONS:
        image = next((c["image"] for c in pod["spec"]["containers"] if c["name"] == names.STEP_CONTAINER), "")
        return _unfinished(StepReason.IMAGE_PULL, f"the image {image} can't be pulled: {message or reason}")
    if reason == "CreateContainerConfigError":
        return _unfinished(StepReason.SECRET_MISSING, message)
    told = services.startup_failure(pod)
    if told is not None and told[1]:
        return _failed(StepReason.SERVICE_FAILED, told[0])
    fetch = (container_status(pod, names.FETCH_CONTAINER) or {}).get("state") or {}
    if "running" in fetch:
        return _unfinished(StepReason.FETCHING, "source and artifacts are being fetched")
    return _unfinished(StepReason.STARTING, told[0] if told is not None else message or "the pod is starting")


def _signal_name(code: int) -> str | None:
    """The signal behind a shell's exit code, if there is one of that number."""
    try:
        return signal.Signals(code - 128).name if code > 128 else None
    except ValueError:
        return None
