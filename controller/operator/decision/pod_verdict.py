"""Derives the phase, reason and message of an attempt from its pod.

An attempt has succeeded only if its own container ended with exit code 0 and was not killed for its memory, nothing
had asked its pod to end before, no init container failed, the pod has not failed, and its artifacts are stored. That
is decided as soon as the container, or the upload, has ended: what becomes of the pod afterwards changes nothing.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import Any

from controller.operator import names
from controller.operator.decision.observation import AttemptView
from controller.operator.decision.pods.agent_report import (
    AgentReport,
    agent_end,
    agent_fetch_failure,
    fetches,
    has_gate,
)
from controller.operator.decision.pods.capacity import parse_quota_error
from controller.operator.decision.pods.status import (
    agent_container,
    conditions,
    container_status,
    disruption_message,
    is_pod_finished,
    is_suspended,
    queue_of,
)
from controller.operator.workload import services
from controller.operator.workload.entrypoint import REFUSED_EXIT_CODE
from controller.run_types.phases import StepPhase
from controller.run_types.reasons import StepReason

Json = dict[str, Any]

_MAX_AGENT_RESTARTS = 3
"""An agent that was started so often before the commands began never prepares the step."""
_IMAGE_PULL_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_RUNTIME_REASONS = ("CreateContainerError", "RunContainerError")
"""Their messages are those of the container runtime, which may have secrets."""


@dataclass(frozen=True)
class PodVerdict:
    """The state of an attempt, derived from its pod. `phase` is None until it has ended."""

    phase: StepPhase | None
    reason: str
    message: str
    exit_code: int | None = None
    check_manifest: bool = False
    """Whether the upload has ended and its manifest must be read."""
    is_reported: bool = False
    """Whether it is the word of the step's first process, which the kubelet has to confirm."""


_SUCCEEDED = PodVerdict(StepPhase.SUCCEEDED, StepReason.SUCCEEDED, "", 0)


def _failed(reason: str, message: str, exit_code: int | None = None) -> PodVerdict:
    return PodVerdict(StepPhase.FAILED, reason, message, exit_code)


def _unfinished(reason: StepReason, message: str, exit_code: int | None = None) -> PodVerdict:
    return PodVerdict(None, reason, message, exit_code)


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
        return _verdict_of_finished_pod(view, pod)
    if (failed := _fetch_failure(view, pod)) is not None:
        return failed
    if "running" in state:
        return _verdict_of_running(view, pod, artifacts=artifacts)
    return _verdict_of_waiting(view, pod, state.get("waiting") or {})


def _verdict_without_pod(view: AttemptView, *, artifacts: bool) -> PodVerdict:
    """The verdict from the Job: the pod does not exist yet, or was deleted unobserved."""
    for condition in conditions(view.job):
        if condition["type"] == "Complete" and condition["status"] == "True":
            return _verdict_of_upload(view, None) if artifacts else _SUCCEEDED
        if condition["type"] == "Failed" and condition["status"] == "True":
            if not view.pod_missing:
                return _unfinished(StepReason.CREATED, "its Job has failed; what became of its pod is not known yet")
            words = condition.get("message") or condition.get("reason", "")
            return _failed(StepReason.DISRUPTED, f"the Job failed without a pod: {words}")
    if is_suspended(view.job):
        queue = queue_of(view.job or {})
        where = f"the queue {queue}" if queue else "a queue of the cluster"
        return _unfinished(StepReason.WAITING_FOR_ADMISSION, view.waiting or f"waits for admission to {where}")
    if view.pod_create_error:
        short = parse_quota_error(view.pod_create_error)
        if short is None:
            return _unfinished(StepReason.NOT_CREATED, f"its pod can't be made: {view.pod_create_error}")
        return PodVerdict(StepPhase.FAILED if short.permanent else None, short.reason, short.message)
    return _unfinished(StepReason.CREATED, "the Job is created; its pod is not there yet")


def _verdict_of_terminated(
    view: AttemptView, pod: Json, ended: Json, *, artifacts: bool, memory_limit: str | None
) -> PodVerdict:
    code, reason = ended.get("exitCode"), ended.get("reason", "")
    if code is None:
        return _failed(StepReason.POD_FAILED, "Kubernetes gives no exit code of its container")
    if (pod.get("status") or {}).get("reason") == "DeadlineExceeded":
        # The deadline that its Job gave the pod, for the case that no operator is there to stop it.
        return _failed(StepReason.TIMEOUT, "stopped by the cluster, some time after its timeout", code)
    if reason == "OOMKilled":
        limit = f" of {memory_limit}" if memory_limit else ""
        return PodVerdict(
            StepPhase.FAILED, StepReason.OOM_KILLED, f"killed: it used more memory than its limit{limit}", code
        )
    # A process that is asked to end may do so with exit code 0.
    if (interrupted := disruption_message(pod, None if code else ended.get("finishedAt"))) is not None:
        return _failed(StepReason.DISRUPTED, f"interrupted: {interrupted}", code)
    if reason == "StartError":
        if view.runtime_error is None and view.log is None:
            return _unfinished(StepReason.STARTING, "the container could not be started; the reason follows")
        return _failed(StepReason.START_ERROR, view.runtime_error or "it could not be started", code)
    if (failed := _fetch_failure(view, pod)) is not None:
        return failed
    if code == 0:
        return _verdict_after_commands(view, pod, artifacts=artifacts)
    if code == REFUSED_EXIT_CODE and has_gate(pod) and agent_end(pod) is None and not is_pod_finished(pod):
        return _unfinished(StepReason.FETCHING, "the source or the artifacts could not be fetched")
    killed = f" (killed by {name})" if (name := _signal_name(code)) else ""
    return _failed(StepReason.EXIT_CODE, f"exit code {code}{killed}", code)


def _verdict_after_commands(view: AttemptView, pod: Json, *, artifacts: bool) -> PodVerdict:
    """The verdict once the commands have succeeded: also of the other containers, as far as they matter."""
    found = _verdict_of_upload(view, pod) if artifacts else _SUCCEEDED
    status = pod.get("status") or {}
    if found.phase == StepPhase.SUCCEEDED and status.get("phase") == "Failed":
        why = status.get("message") or status.get("reason") or "Kubernetes gives no reason"
        message = f"its commands succeeded, but its pod failed: {why}"
        return _failed(status.get("reason") or StepReason.POD_FAILED, message, 0)
    return found


def _fetch_failure(view: AttemptView, pod: Json) -> PodVerdict | None:
    """The verdict of a pod whose agent could not fetch what the step needs, or does not start; None for any other."""
    if (failed := agent_fetch_failure(pod)) is not None:
        why = view.agent_error or f"exit code {failed['exitCode']}; the log of agent says more"
        return _failed(StepReason.FETCH_FAILED, f"the source or the artifacts could not be fetched: {why}")
    agent = container_status(pod, names.AGENT_CONTAINER) or {}
    if view.report.began is None and int(agent.get("restartCount") or 0) >= _MAX_AGENT_RESTARTS:
        ended = (agent.get("lastState") or {}).get("terminated") or {}
        message = f"its agent does not start: exit code {ended.get('exitCode')}; the log of agent says more"
        return _failed(StepReason.FETCH_FAILED, message)
    return None


def _verdict_of_running(view: AttemptView, pod: Json, *, artifacts: bool) -> PodVerdict:
    """The verdict while the container runs: its commands wait at their gate, run, or have ended by their own word.

    A success is believed before the kubelet has noticed it, a failure is not: the kubelet knows more about that.
    """
    if view.report.held:
        return _unfinished(StepReason.HELD, _describe_hold(view.report))
    if view.milestones.running is None and has_gate(pod):
        if not fetches(pod):
            return _unfinished(StepReason.STARTING, "the pod is starting")
        return _unfinished(StepReason.FETCHING, "source and artifacts are being fetched")
    report = view.report
    if report.ended is None or report.code is None:
        return _unfinished(StepReason.RUNNING, "")
    if report.code != 0:
        return _unfinished(StepReason.RUNNING, f"its commands ended with exit code {report.code}")
    if disruption_message(pod) is not None:
        return _unfinished(StepReason.RUNNING, "its commands have ended")
    if not artifacts or (report.stored and view.manifest is not None):
        return replace(_SUCCEEDED, is_reported=True)
    if report.stored and not view.manifest_read:
        return PodVerdict(None, StepReason.UPLOADING, "the artifacts are being checked", 0, check_manifest=True)
    return _unfinished(StepReason.UPLOADING, "its commands succeeded; the artifacts are being stored", 0)


def _describe_hold(report: AgentReport) -> str:
    if report.held == "before":
        return "held before its commands; c8s continue lets it go on"
    result = "which succeeded" if report.held == "after" else f"which ended with exit code {report.code}"
    return f"held after its commands, {result}; c8s continue lets it go on"


def _verdict_of_upload(view: AttemptView, pod: Json | None) -> PodVerdict:
    """The verdict once the commands have succeeded: whether the artifacts are stored."""
    ended = agent_end(pod)
    if ended is None and pod is not None and not is_pod_finished(pod) and agent_container(pod) is not None:
        return _unfinished(StepReason.UPLOADING, "its commands succeeded; the artifacts are being stored", 0)
    if view.manifest is not None and not (ended or {}).get("exitCode"):
        return _SUCCEEDED
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
    why = view.agent_error or f"{why}; its log says more"
    return _failed(StepReason.ARTIFACT_UPLOAD_FAILED, f"the artifacts could not be stored: {why}", 0)


def _verdict_of_finished_pod(view: AttemptView, pod: Json) -> PodVerdict:
    """The verdict of a pod that has ended although its step container did not."""
    status = pod["status"]
    reason, message = status.get("reason", ""), status.get("message", "")
    if (interrupted := disruption_message(pod)) is not None:
        return _failed(StepReason.DISRUPTED, f"interrupted: {interrupted}")
    if (failed := _fetch_failure(view, pod)) is not None:
        return failed
    return PodVerdict(
        StepPhase.FAILED, reason or StepReason.POD_FAILED, message or "the pod failed before the step began"
    )


def _verdict_of_waiting(view: AttemptView, pod: Json, waiting: Json) -> PodVerdict:
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _RUNTIME_REASONS:
        message = view.runtime_error or f"the container can't be started yet ({reason})"
    for condition in conditions(pod):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            message = condition.get("message") or "no node takes it"
            return _unfinished(StepReason.UNSCHEDULABLE, f"{message}; {view.waiting}" if view.waiting else message)
    if reason in _IMAGE_PULL_REASONS:
        image = next((c["image"] for c in pod["spec"]["containers"] if c["name"] == names.STEP_CONTAINER), "")
        return _unfinished(StepReason.IMAGE_PULL, f"the image {image} can't be pulled: {message or reason}")
    if reason == "CreateContainerConfigError":
        return _unfinished(StepReason.SECRET_MISSING, message)
    failure = services.startup_failure(pod)
    if failure is not None and failure[1]:
        return _failed(StepReason.SERVICE_FAILED, failure[0])
    agent = (container_status(pod, names.AGENT_CONTAINER) or {}).get("state") or {}
    if "running" in agent and failure is None and fetches(pod):
        return _unfinished(StepReason.FETCHING, "source and artifacts are being fetched")
    return _unfinished(StepReason.STARTING, failure[0] if failure is not None else message or "the pod is starting")


def _signal_name(code: int) -> str | None:
    """The signal behind a shell's exit code, if there is one of that number."""
    try:
        return signal.Signals(code - 128).name if code > 128 else None
    except ValueError:
        return None
