"""The status of one attempt of a step: created, updated from its pod, ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from controller.operator import gate, names
from controller.operator.decision.confirmation import confirm, is_unconfirmed, note_other_code
from controller.operator.decision.observation import AttemptView, Milestones
from controller.operator.decision.pod_verdict import evaluate_pod
from controller.operator.decision.pods.status import (
    conditions,
    is_pod_finished,
    is_suspended,
    is_upload_finished,
    resumed_at,
    started_containers,
    uploads_artifacts,
)
from controller.operator.workload.debug_copies import keeps_workspace_on_failure
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Step
from controller.run_types.phases import FINAL_STEP_PHASES, StepPhase
from controller.run_types.reasons import StepReason, StopCause

if TYPE_CHECKING:
    from controller.run_types.objects import AttemptStatus, AttemptTimes, RunObject, SavedWorkspace

Json = dict[str, Any]
_MILESTONES: tuple[Literal["scheduled", "fetching", "pulling", "running", "finished"], ...] = (
    "scheduled",
    "fetching",
    "pulling",
    "running",
    "finished",
)

MAX_DISRUPTIONS = 5
_STOP_REASONS = {
    StopCause.CANCELLED: StepReason.RUN_CANCELLED,
    StopCause.RUN_TIMEOUT: StepReason.TIMEOUT,
    StopCause.STEP_TIMEOUT: StepReason.TIMEOUT,
}
STOP_DEADLINE_SECONDS = 1
"""The `activeDeadlineSeconds` that ends a pod."""
_WORKSPACE_NOT_SAVED = (StepReason.RUN_CANCELLED, StepReason.DISRUPTED)
_MAX_PROBLEM_LENGTH = 500
MISSING_AFTER = timedelta(seconds=20)
"""The API server is asked for a Job that the informer has not shown for so long."""


def format_time(moment: datetime) -> str:
    """RFC 3339 with microseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def new_attempt(run: RunObject, step: ExpandedStep, number: int, now: datetime) -> AttemptStatus:
    return {
        "number": number,
        "jobName": names.job_name(run["metadata"]["name"], step.slug, number),
        "phase": StepPhase.RUNNING,
        "reason": StepReason.CREATED,
        "times": {"created": format_time(now)},
    }


def adopt_attempt(run: RunObject, step: ExpandedStep, number: int, view: AttemptView, now: datetime) -> AttemptStatus:
    """An attempt that has a Job but no status: the operator was stopped between creating and writing.

    One that was made ahead counts from the opening of its gate.
    """
    if view.job is not None and (opened := gate.opening(view.job)) is not None:
        return {**new_attempt(run, step, number, min(opened.at, now)), "early": True}
    created_at = ((view.job or view.pod or {}).get("metadata") or {}).get("creationTimestamp")
    return new_attempt(run, step, number, datetime.fromisoformat(created_at) if created_at else now)


def update_attempt(
    attempt: AttemptStatus, view: AttemptView, step: Step, now: datetime, *, stopped_by: str
) -> AttemptStatus:
    """The attempt updated from its pod. A final phase stays; times, containers and the log may still be added.

    Args:
        stopped_by: why it was stopped, if its pod shows that it was and the status has no cause.
    """
    fresh: AttemptStatus = {**attempt, "times": _times(attempt["times"], view.milestones)}
    if view.pod is not None:
        fresh["podName"] = view.pod["metadata"]["name"]
        if containers := started_containers(view.pod):
            known = attempt.get("containers") or []
            fresh["containers"] = [*known, *(name for name in containers if name not in known)]
        if is_pod_finished(view.pod):
            fresh["times"].setdefault("ended", format_time(now))
    if view.log is not None:
        fresh["log"] = view.log
    if view.usage is not None and view.usage["samples"] > (attempt.get("usage") or {}).get("samples", 0):
        fresh["usage"] = view.usage
    if view.report.tests is not None:
        fresh["tests"] = view.report.tests
    if attempt["phase"] in FINAL_STEP_PHASES:
        if is_unconfirmed(attempt):
            return confirm(fresh, view, step)
        if view.workspace_read and awaiting_workspace(attempt, view, read=True):
            fresh["kept"] = _workspace_status(view.workspace)
        return fresh
    if view.job is None and view.pod is None:
        return _finish_lost(fresh, now) if view.job_missing else fresh
    is_stopped = "stopping" in attempt or (view.pod is not None and is_stop_requested(view.pod))
    limit = step.resources.memory if step.resources else None
    # Of one that is being stopped only the kubelet knows how it ends.
    judged = replace(view, report=replace(view.report, ended=None)) if is_stopped else view
    seen = evaluate_pod(judged, artifacts=step.has_artifacts, memory_limit=limit)
    fresh["reason"] = seen.reason
    if seen.message:
        fresh["message"] = seen.message
    else:
        fresh.pop("message", None)
    if seen.exit_code is not None:
        fresh["exitCode"] = seen.exit_code
    if attempt["reason"] == StepReason.WAITING_FOR_ADMISSION and not is_suspended(view.job):
        admitted = format_time(resumed_at(view.job, now))
        fresh["times"].setdefault("admitted", max(admitted, fresh["times"]["created"]))
    if seen.reason == StepReason.HELD:
        fresh["held"] = view.report.held
    else:
        fresh.pop("held", None)
    if seen.phase is None:
        return fresh
    if view.pod is not None and is_stop_requested(view.pod):
        fresh.setdefault("stopping", stopped_by)
    if seen.is_reported:
        fresh["unconfirmed"] = True
        ended = format_time(min(view.report.ended or now, now))
        fresh["times"]["finished"] = max(ended, fresh["times"].get("running", ended))
    else:
        note_other_code(fresh, view)
    return _finish(fresh, seen.phase, step, now, view.milestones.uploaded or now)


def is_stop_requested(pod: Json) -> bool:
    """Whether the pod has been asked to stop: its own deadline is much longer."""
    return bool((pod["spec"].get("activeDeadlineSeconds") or STOP_DEADLINE_SECONDS + 1) <= STOP_DEADLINE_SECONDS)


def _finish(fresh: AttemptStatus, phase: str, step: Step, now: datetime, uploaded: datetime) -> AttemptStatus:
    """The attempt with its final phase. One that was stopped did not succeed, whatever its exit code is.

    Args:
        uploaded: when the upload of its artifacts ended, if it has any.
    """
    fresh["phase"] = phase
    fresh["times"].setdefault("finished", format_time(now))
    stopping = fresh.pop("stopping", None)
    if stopping == StopCause.CANCELLED:
        fresh |= {
            "phase": StepPhase.CANCELLED,
            "reason": StepReason.RUN_CANCELLED,
            "message": "stopped, because the run was cancelled",
        }
    elif stopping == StopCause.RUN_TIMEOUT:
        fresh |= {
            "phase": StepPhase.CANCELLED,
            "reason": StepReason.TIMEOUT,
            "message": "stopped, because the run took too long",
        }
    elif stopping == StopCause.STEP_TIMEOUT:
        message = f"stopped after {step.timeout}, its timeout"
        fresh |= {"phase": StepPhase.FAILED, "reason": StepReason.TIMEOUT, "message": message}
    elif phase == StepPhase.SUCCEEDED and step.has_artifacts:
        fresh["times"].setdefault("uploaded", max(format_time(uploaded), fresh["times"]["finished"]))
    return fresh


def _finish_lost(fresh: AttemptStatus, now: datetime) -> AttemptStatus:
    """The attempt ends because its Job no longer exists."""
    stopping = fresh.pop("stopping", None)
    fresh["times"].setdefault("finished", format_time(now))
    if stopping:
        phase = StepPhase.FAILED if stopping == StopCause.STEP_TIMEOUT else StepPhase.CANCELLED
        return {**fresh, "phase": phase, "reason": _STOP_REASONS[StopCause(stopping)], "message": "its Job is gone"}
    return {
        **fresh,
        "phase": StepPhase.FAILED,
        "reason": StepReason.DISRUPTED,
        "message": "its Job was deleted",
    }


def is_job_missing(attempt: AttemptStatus, view: AttemptView) -> bool:
    """Whether an attempt that has not ended has neither Job nor pod."""
    return attempt["phase"] not in FINAL_STEP_PHASES and view.job is None and view.pod is None


def is_pod_unknown(attempt: AttemptStatus, view: AttemptView) -> bool:
    """Whether an attempt has not ended, its Job has failed, and no pod of it was seen."""
    return (
        attempt["phase"] not in FINAL_STEP_PHASES
        and view.pod is None
        and not view.pod_missing
        and any(each["type"] == "Failed" and each["status"] == "True" for each in conditions(view.job))
    )


def _times(times: AttemptTimes, seen: Milestones) -> AttemptTimes:
    """The times with new milestones; none is earlier than the one before it, whatever other clocks say."""
    result: AttemptTimes = {**times}
    last = times.get("created", "")
    for name in _MILESTONES:
        moment: datetime | None = getattr(seen, name)
        if moment is not None and name not in result:
            result[name] = max(format_time(moment), last)
        last = max(last, result.get(name, ""))
    return result


def needs_manifest(attempt: AttemptStatus, view: AttemptView, step: Step) -> bool:
    """Whether the upload has ended and its manifest has not been read."""
    if awaiting_artifacts(attempt, view):
        return view.pod is not None and is_upload_finished(view.pod)
    if not step.has_artifacts or attempt["phase"] in FINAL_STEP_PHASES:
        return False
    return evaluate_pod(view, artifacts=True, memory_limit=None).check_manifest


def awaiting_artifacts(attempt: AttemptStatus, view: AttemptView) -> bool:
    """Whether it is still open what artifacts an attempt has that ran and did not succeed."""
    return (
        attempt["phase"] in (StepPhase.FAILED, StepPhase.CANCELLED)
        and "running" in attempt["times"]
        and view.pod is not None
        and not view.manifest_read
        and uploads_artifacts(view.pod)
    )


def awaiting_workspace(attempt: AttemptStatus, view: AttemptView, *, read: bool = False) -> bool:
    """Whether the status of a failed attempt still lacks what was saved of its workspace.

    The workspace of a cancelled run is not saved, nor that of a disrupted pod, which says nothing about the step.

    Args:
        read: whether its manifest has been read.
    """
    if (
        attempt["phase"] not in (StepPhase.FAILED, StepPhase.CANCELLED)
        or attempt["reason"] in _WORKSPACE_NOT_SAVED
        or "kept" in attempt
    ):
        return False
    return keeps_workspace_on_failure(view.pod) and "running" in attempt["times"] and view.workspace_read is read


def needs_workspace(attempt: AttemptStatus, view: AttemptView) -> bool:
    """Whether the upload has ended and the manifest of the workspace has not been read."""
    return awaiting_workspace(attempt, view) and view.pod is not None and is_upload_finished(view.pod)


def _workspace_status(manifest: Json | None) -> SavedWorkspace:
    """The field `kept` of the status, from the manifest that the agent wrote."""
    if manifest is None:
        return {"problem": "its upload did not finish; the log of agent may say more"}
    if "problem" in manifest:
        return {"problem": str(manifest["problem"])[:_MAX_PROBLEM_LENGTH]}
    saved: SavedWorkspace = {"bytes": manifest["size"], "files": manifest.get("files", 0)}
    if manifest.get("leftOut"):
        saved["leftOut"] = manifest["leftOut"]
    return saved


def stop_reason(
    attempt: AttemptStatus, now: datetime, *, cancelled: bool, timed_out: bool, due: datetime | None
) -> tuple[str | None, datetime | None]:
    """(why the attempt has to be stopped, or None; when its timeout is due, if it is running).

    Args:
        due: when its timeout is due; None for an attempt whose step does not run.
    """
    if attempt.get("stopping"):
        return attempt["stopping"], None
    if cancelled:
        return StopCause.CANCELLED, None
    if timed_out:
        return StopCause.RUN_TIMEOUT, None
    if due is None:
        return None, None
    return (StopCause.STEP_TIMEOUT, None) if now >= due else (None, due)
