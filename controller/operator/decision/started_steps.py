"""Steps that have started: updates their attempts, stops them where needed, and retries or ends the step.

Ended steps that need no further observation are found here too, so that a large run costs only its active steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from controller.operator.decision import attempts
from controller.operator.decision.actions import DeleteJob, OpenGate, ReadManifest, ReadWorkspace, VerifyJob, VerifyPod
from controller.operator.decision.attempts import awaiting_artifacts, awaiting_workspace
from controller.operator.decision.builder import DecisionBuilder, StepVerdict, step_status
from controller.operator.decision.confirmation import CONFIRMATION_LIMIT, is_unconfirmed
from controller.operator.decision.observation import AttemptView, Observation, Timer, TimerKey
from controller.operator.decision.pods.status import is_pod_finished, is_suspended
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import RetryPolicy
from controller.pipeline.values import duration
from controller.run_types.keys import AttemptKey
from controller.run_types.phases import FINAL_STEP_PHASES, StepPhase
from controller.run_types.reasons import StepReason

if TYPE_CHECKING:
    from controller.run_types.objects import ArtifactCount, AttemptStatus, RunStatus, StepStatus

Json = dict[str, Any]


_DELETION_INTERVAL = timedelta(seconds=2)
"""How soon it is looked again whether a Job is gone: an informer that begins anew does not show every deletion."""
_POD_INTERVAL = timedelta(seconds=1)
"""How soon it is looked again for the pod of a Job that has failed."""
_ENDLESS = (StepReason.SERVICE_FAILED, StepReason.FETCH_FAILED)


def update_attempts(builder: DecisionBuilder, step: ExpandedStep, observed: Sequence[int]) -> None:
    """Update the attempts of a step, and the status of a step that has ended.

    Args:
        observed: the numbers of the attempts that have a Job or a pod, in order.
    """
    previous = builder.input.previous.get(step.name)
    if previous is not None and step.slug in builder.input.observation.settled_steps:
        builder.statuses[step.name] = previous
        return
    known = list(previous.get("attempts") or []) if previous is not None else []
    has_ended = previous is not None and previous["phase"] in FINAL_STEP_PHASES
    if not known and not observed and not has_ended:
        return
    numbers = {attempt["number"] for attempt in known}
    for number in (each for each in observed if each not in numbers):
        view = builder.input.view(step, number)
        if has_ended:
            # The request for its Job arrived after the step had ended: of an earlier process, as a rule.
            _end_pod(builder, view)
        else:
            known.append(attempts.adopt_attempt(builder.input.run, step, number, view, builder.input.now))
    settled = builder.input.observation.settled_attempts
    updated = [
        attempt if settled and (step.slug, attempt["number"]) in settled else _update_attempt(builder, step, attempt)
        for attempt in known
    ]
    if previous is not None and has_ended:
        more: Json = {"attempts": updated} if updated else {}
        verdict = _verdict_fields(previous)
        if updated and is_unconfirmed(known[-1]) and updated[-1]["phase"] == StepPhase.FAILED:
            # The kubelet disagrees. What was started since goes on, what was not is skipped.
            verdict = _verdict_fields(updated[-1])
        if updated and (artifacts := _stored_artifacts(builder, step, updated[-1])) is not None:
            more["artifacts"] = artifacts
        builder.statuses[step.name] = step_status(step, previous, **verdict, **more)
    elif updated:
        builder.attempts[step.name] = updated


def _update_attempt(builder: DecisionBuilder, step: ExpandedStep, attempt: AttemptStatus) -> AttemptStatus:
    """The updated attempt; adds the actions that do not depend on what becomes of the step."""
    now, cause = builder.input.now, builder.input.default_stop_cause
    view = builder.input.view(step, attempt["number"])
    fresh = attempts.update_attempt(attempt, view, step.step, now, stopped_by=cause)
    if _has_live_pod(view) or fresh["phase"] not in FINAL_STEP_PHASES:
        builder.active_count += 1
    if is_unconfirmed(fresh):
        _limit_confirmation(builder, step, fresh, view)
    if fresh["phase"] == StepPhase.CANCELLED or fresh["reason"] in _ENDLESS:
        # It ended before its pod was observed, or the node would restart the service or the agent for ever.
        builder.request_stop(view.pod)
    is_readmittable = fresh["phase"] in FINAL_STEP_PHASES and is_suspended(view.job)
    if fresh["reason"] == StepReason.NEVER_FITS or is_readmittable:
        # Its pod would otherwise be created once the quota is raised, or the queue admits again what it preempted.
        _delete_job(builder, view)
    if attempts.needs_manifest(fresh, view, step.step):
        builder.act(ReadManifest(step.slug, attempt["number"]))
    if attempts.needs_workspace(fresh, view):
        builder.act(ReadWorkspace(step.slug, attempt["number"]))
    if attempts.is_job_missing(fresh, view):
        key = TimerKey(Timer.ATTEMPT_CREATED, step.slug, attempt["number"])
        created = datetime.fromisoformat(attempt["times"]["created"])
        deadline = builder.input.observation.due(key, created, attempts.MISSING_AFTER, now)
        if now >= deadline:
            builder.act(VerifyJob(step.slug, attempt["number"], attempt["jobName"]))
        else:
            builder.requeue_at(deadline)
    if view.job is not None and attempts.is_pod_unknown(fresh, view):
        builder.act(VerifyPod(step.slug, attempt["number"], view.job["metadata"]["uid"]))
        builder.requeue_at(now + _POD_INTERVAL)
    return fresh


def _limit_confirmation(
    builder: DecisionBuilder, step: ExpandedStep, attempt: AttemptStatus, view: AttemptView
) -> None:
    """Stop a container that goes on long after it has reported its end."""
    key = TimerKey(Timer.ATTEMPT_UNCONFIRMED, step.slug, attempt["number"])
    ended = datetime.fromisoformat(attempt["times"]["finished"])
    due = builder.input.observation.due(key, ended, CONFIRMATION_LIMIT, builder.input.now)
    if builder.input.now >= due:
        builder.request_stop(view.pod)
    else:
        builder.requeue_at(due)


def _has_live_pod(view: AttemptView) -> bool:
    return view.pod is not None and not is_pod_finished(view.pod)


def _end_pod(builder: DecisionBuilder, view: AttemptView) -> None:
    """Stop the pod of an attempt, which keeps its logs, or delete its Job where no node has taken the pod."""
    if view.pod is not None and view.pod["spec"].get("nodeName"):
        builder.request_stop(view.pod)
    elif view.pod is None or not is_pod_finished(view.pod):
        _delete_job(builder, view)


def _delete_job(builder: DecisionBuilder, view: AttemptView) -> None:
    if view.job is not None:
        metadata = view.job["metadata"]
        builder.act(DeleteJob(metadata["namespace"], metadata["name"], metadata["uid"]))
        builder.requeue_at(builder.input.now + _DELETION_INTERVAL)


def update_current_attempt(builder: DecisionBuilder, step: ExpandedStep) -> None:
    """Decide the status of a step that has started and not ended, from its last attempt."""
    previous, updated = builder.input.previous.get(step.name), builder.attempts[step.name]
    if updated[-1]["phase"] in FINAL_STEP_PHASES:
        _after_attempt(builder, step, previous, updated)
    else:
        builder.statuses[step.name] = _running_status(builder, step, previous, updated)


def _verdict_fields(status: StepStatus | AttemptStatus) -> Json:
    return {key: value for key, value in status.items() if key in ("phase", "reason", "message", "firstFailure")}


def _running_status(
    builder: DecisionBuilder, step: ExpandedStep, previous: StepStatus | None, updated: list[AttemptStatus]
) -> StepStatus:
    """The status of a step whose last attempt goes on; stops that attempt where needed."""
    last, now = updated[-1], builder.input.now
    view = builder.input.view(step, last["number"])
    cause, deadline = attempts.stop_reason(
        last,
        now,
        cancelled=builder.input.cancelled,
        timed_out=builder.input.timed_out,
        due=_timeout_due(builder, step, last),
    )
    if deadline is not None:
        builder.requeue_at(deadline)
    if cause is None and view.gate_closed and view.job is not None:
        # The status has it, and the request that opens its gate failed or was never made.
        metadata = view.job["metadata"]
        builder.act(OpenGate(step, last["number"], metadata["name"], metadata["uid"]))
    if cause is not None:
        last = updated[-1] = {**last, "stopping": cause}
        if view.job is None and view.pod is None:
            # The informer may not show its Job yet. The attempt ends once the API server says that there is none.
            builder.act(VerifyJob(step.slug, last["number"], last["jobName"]))
        _end_pod(builder, view)
    phase = StepPhase.RUNNING if last["times"].get("running") else StepPhase.PENDING
    message = last.get("message", "")
    return step_status(step, previous, phase=phase, reason=last["reason"], message=message, attempts=updated)


def _timeout_due(builder: DecisionBuilder, step: ExpandedStep, attempt: AttemptStatus) -> datetime | None:
    """When the step's timeout is due: it counts while the commands run. None while they do not."""
    running, report = attempt["times"].get("running"), builder.input.view(step, attempt["number"]).report
    if running is None or attempt["times"].get("finished") or report.held or report.ended is not None:
        return None
    limit = timedelta(seconds=duration.parse_duration(step.step.timeout))
    if report.began is not None and attempts.format_time(report.began) > running:
        # They run again after a hold.
        return report.began + limit
    key = TimerKey(Timer.ATTEMPT_RUNNING, step.slug, attempt["number"])
    return builder.input.observation.due(key, datetime.fromisoformat(running), limit, builder.input.now)


def _after_attempt(
    builder: DecisionBuilder, step: ExpandedStep, previous: StepStatus | None, updated: list[AttemptStatus]
) -> None:
    """Decide what follows the end of the last attempt: the step ends, waits for a retry, or is retried now."""
    last = updated[-1]
    delay, number = _retry_delay(builder, step, updated), last["number"] + 1
    if builder.is_unanswered(step, number) and (delay is None or builder.input.stopping):
        message = f"attempt {number} is not to begin any more"
        verdict = builder.find_out(step, number, StepVerdict(StepPhase.CANCELLED, last["reason"], message))
        builder.statuses[step.name] = builder.unstarted_status(step, previous, verdict, attempts=updated)
        return
    if delay is None:
        builder.statuses[step.name] = _final_status(builder, step, previous, updated)
        return
    if builder.input.stopping:
        final = _final_status(builder, step, previous, updated)
        builder.statuses[step.name] = _stopped_before_retry(builder, final, last)
        return
    key = TimerKey(Timer.ATTEMPT_FAILED, step.slug, last["number"])
    finished, backoff = datetime.fromisoformat(last["times"]["finished"]), timedelta(seconds=delay)
    due = builder.input.observation.due(key, finished, backoff, builder.input.now)
    blocker: StepVerdict | None
    if builder.input.now < due:
        builder.requeue_at(due)
        message = f"attempt {last['number']} failed ({last.get('message', '')}); the next begins in {delay} s"
        blocker = StepVerdict(StepPhase.PENDING, StepReason.RETRYING, message)
    else:
        blocker = builder.start_blocker(step, number)
    if blocker is None:
        builder.start_attempt(step, previous, updated, number)
    else:
        builder.statuses[step.name] = builder.unstarted_status(step, previous, blocker, attempts=updated)


def _stopped_before_retry(builder: DecisionBuilder, status: StepStatus, last: AttemptStatus) -> StepStatus:
    """The status of a step that is not tried again: it did not end by itself, even if its failure is allowed."""
    why = "the run was cancelled" if builder.input.cancelled else "the run took too long"
    return {
        **status,
        "phase": StepPhase.CANCELLED,
        "reason": StepReason.RUN_CANCELLED if builder.input.cancelled else StepReason.TIMEOUT,
        "message": f"not tried again after attempt {last['number']}, because {why}",
    }


def _retry_delay(builder: DecisionBuilder, step: ExpandedStep, updated: list[AttemptStatus]) -> int | None:
    """Seconds between the last attempt's end and the next attempt; None when the step is not retried."""
    last = updated[-1]
    if last["phase"] != StepPhase.FAILED or last["reason"] in (StepReason.TIMEOUT, StepReason.NEVER_FITS):
        return None
    policy = step.step.retry_policy or builder.input.pipeline.retry_policy or RetryPolicy()
    disrupted = sum(attempt["reason"] == StepReason.DISRUPTED for attempt in updated)
    if last["reason"] == StepReason.DISRUPTED:
        return 0 if disrupted <= attempts.MAX_DISRUPTIONS else None
    failed = sum(attempt["phase"] == StepPhase.FAILED for attempt in updated) - disrupted
    return policy.backoff_seconds if failed <= policy.max_retries else None


def _final_status(
    builder: DecisionBuilder, step: ExpandedStep, previous: StepStatus | None, updated: list[AttemptStatus]
) -> StepStatus:
    """The status of a step that ends with its last attempt."""
    last = updated[-1]
    status = step_status(
        step,
        previous,
        phase=last["phase"],
        reason=last["reason"],
        message=last.get("message", ""),
        completionTime=_end_time(previous, last, builder.input.now),
        attempts=updated,
    )
    if (artifacts := _stored_artifacts(builder, step, last)) is not None:
        status["artifacts"] = artifacts
    return status


def _end_time(previous: StepStatus | None, last: AttemptStatus, now: datetime) -> str:
    """When a step ended: its commands, and the upload of its artifacts if it waited for that."""
    if uploaded := last["times"].get("uploaded"):
        return uploaded
    if previous is not None and previous["reason"] == StepReason.UPLOADING:
        return attempts.format_time(now)
    return last["times"].get("finished") or attempts.format_time(now)


def _stored_artifacts(builder: DecisionBuilder, step: ExpandedStep, last: AttemptStatus) -> ArtifactCount | None:
    """The artifacts of a step's last attempt, also if it failed: they help to find out why."""
    manifest = builder.input.view(step, last["number"]).manifest
    return artifact_count(manifest) if manifest is not None and step.step.has_artifacts else None


def artifact_count(manifest: Json) -> ArtifactCount:
    """How many files a manifest lists, and their size: older ones do not say so themselves."""
    files = manifest.get("files") or []
    count: ArtifactCount = manifest.get("count") or {"files": len(files), "bytes": sum(file["size"] for file in files)}
    return count


def find_settled_steps(status: RunStatus, observed: Observation) -> frozenset[str]:
    """The slugs of ended steps whose pods and logs can show nothing new.

    Args:
        status: as decided from `observed`.
    """
    views: dict[str, list[AttemptView]] = {}
    for (slug, _), view in observed.attempts.items():
        views.setdefault(slug, []).append(view)
    found = set(observed.settled_steps)
    for entry in status.get("steps") or []:
        # The manifest of the clone step is read from its view until the run's status has the source.
        if entry["phase"] not in FINAL_STEP_PHASES or entry["slug"] in found or entry["name"] == observed.source_step:
            continue
        tried = [each for each in entry.get("attempts") or [] if not _is_settled(entry, each, observed)]
        if len(views.get(entry["slug"], [])) == len(tried) and all(_is_over(entry, each, observed) for each in tried):
            found.add(entry["slug"])
    return frozenset(found)


def find_settled_attempts(status: RunStatus, observed: Observation) -> frozenset[AttemptKey]:
    """The attempts before the last one of their step whose pods and logs can show nothing new.

    A step that is tried again has several, and the run is decided on for every change of any.

    Args:
        status: as decided from `observed`.
    """
    return observed.settled_attempts | {
        AttemptKey(entry["slug"], attempt["number"])
        for entry in status.get("steps") or []
        for attempt in (entry.get("attempts") or [])[:-1]
        if attempt["phase"] in FINAL_STEP_PHASES
        and not _is_settled(entry, attempt, observed)
        and _is_over(entry, attempt, observed)
    }


def _is_settled(step: StepStatus, attempt: AttemptStatus, observed: Observation) -> bool:
    return (step["slug"], attempt["number"]) in observed.settled_attempts


def _is_over(step: StepStatus, attempt: AttemptStatus, observed: Observation) -> bool:
    """Whether nothing new of an attempt can be observed."""
    view = observed.view(step["slug"], attempt["number"])
    return view.is_complete and not awaiting_workspace(attempt, view) and not awaiting_artifacts(attempt, view)
